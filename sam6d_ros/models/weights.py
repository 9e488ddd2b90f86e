"""The released weights files: where they come from and which are here. Imports no torch."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.errors import CheckpointError

_LOG = logging.getLogger(__name__)
BLOCK = 1 << 20
NO_CHECKSUM = "no checksum is known for it"


@dataclass(frozen=True)
class WeightsFile:
    """One released file.

    Attributes:
        role: "sam", "dinov2" or "pem".
        variant: size of the network.
        name: file name in the weights folder.
        url: official address.
        sha256: checksum of the official file, or None where none is known.
        size: bytes, or None.
    """

    role: str
    variant: str
    name: str
    url: str
    sha256: str | None = None
    size: int | None = None


_META = "https://dl.fbaipublicfiles.com"
FILES: tuple[WeightsFile, ...] = (
    WeightsFile(
        "sam",
        "vit_h",
        "sam_vit_h_4b8939.pth",
        f"{_META}/segment_anything/sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        2_564_550_879,
    ),
    WeightsFile(
        "sam",
        "vit_l",
        "sam_vit_l_0b3195.pth",
        f"{_META}/segment_anything/sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        1_249_524_607,
    ),
    WeightsFile(
        "sam",
        "vit_b",
        "sam_vit_b_01ec64.pth",
        f"{_META}/segment_anything/sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375_042_383,
    ),
    WeightsFile(
        "dinov2",
        "vit_l",
        "dinov2_vitl14_pretrain.pth",
        f"{_META}/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        1_217_586_395,
    ),
    WeightsFile(
        # Google Drive, file id from the README of the SAM-6D repository; its authors publish no
        # checksum, so the first fetched file's is recorded beside it.
        "pem",
        "base",
        "sam-6d-pem-base.pth",
        "https://drive.usercontent.google.com/download"
        "?id=1joW9IvwsaRJYxoUmGo68dBVg-HcFNyI7&export=download&confirm=t",
    ),
)


@dataclass(frozen=True)
class WeightsState:
    """What is known of one file without reading all of it.

    Attributes:
        file: which.
        path: where it is, or would be.
        present: whether it is there.
        problem: what is wrong with it, empty when nothing is.
    """

    file: WeightsFile
    path: Path
    present: bool
    problem: str = ""

    @property
    def sound(self) -> bool:
        """Present, and nothing speaks against it."""
        return self.present and self.problem in ("", NO_CHECKSUM)


def required(sam_variant: str) -> tuple[WeightsFile, ...]:
    """The three files that the backend needs."""
    return tuple(f for f in FILES if f.role != "sam" or f.variant == sam_variant)


def locate(folder: Path, file: WeightsFile) -> Path:
    """Path of a file in the folder; its .safetensors twin when only that is there."""
    path = folder / file.name
    twin = path.with_suffix(".safetensors")
    return twin if twin.is_file() and not path.is_file() else path


def missing(folder: Path | None, sam_variant: str) -> list[str]:
    """Names of required files that are not in the folder."""
    files = required(sam_variant)
    return [f.name for f in files if folder is None or not locate(folder, f).is_file()]


def list_files(folder: Path) -> list[WeightsState]:
    """Presence and size of every known file."""
    return [_state(folder, file) for file in FILES]


def _state(folder: Path, file: WeightsFile) -> WeightsState:
    path = locate(folder, file)
    if not path.is_file():
        part = partial_path(path)
        note = f"{part.stat().st_size} bytes fetched so far" if part.is_file() else ""
        return WeightsState(file, path, False, note)
    size = path.stat().st_size
    official = path.name == file.name
    if official and file.size is not None and size != file.size:
        return WeightsState(file, path, True, f"{size} bytes instead of {file.size}")
    return WeightsState(file, path, True)


def verify(folder: Path, file: WeightsFile) -> WeightsState:
    """Compare a present file with its checksum (published, or recorded when it was fetched)."""
    state = _state(folder, file)
    if not state.present or state.problem:
        return state
    expected = expected_sha256(state.path, file)
    if expected is None:
        return WeightsState(file, state.path, True, NO_CHECKSUM)
    found = hash_file(state.path)
    if found != expected:
        problem = f"sha256 is {found[:16]}… instead of {expected[:16]}…"
        return WeightsState(file, state.path, True, problem)
    return state


def check_once(folder: Path, file: WeightsFile) -> Path:
    """Return the path of a file after comparing it with its checksum, if it changed since then.

    Reading 5 GB takes seconds; the result is stored beside the file with its size and time.
    A missing file, and one without a known checksum, is left to the reader.

    Raises:
        CheckpointError: the size or checksum is not the known one.
    """
    state = _state(folder, file)
    expected = expected_sha256(state.path, file) if state.present else None
    if expected is not None and not state.problem:
        status, record = state.path.stat(), state.path.with_name(state.path.name + ".checked")
        seen = f"{expected} {status.st_size} {status.st_mtime_ns}\n"
        if record.is_file() and record.read_text() == seen:
            return state.path
        _LOG.info("comparing %s with its checksum, as it is new or has changed", state.path)
        state = verify(folder, file)
        if state.sound:
            _try_to_write(record, seen)
    if state.present and not state.sound:
        own = (
            f"if you replaced it on purpose, delete {sidecar(state.path).name} beside it"
            if file.sha256 is None
            else f"weights of your own go there as {Path(file.name).stem}.safetensors instead"
        )
        raise CheckpointError(
            f"{state.path} is damaged or not the released file: {state.problem}. "
            f"Delete it and run `sam6d weights fetch`; {own}"
        )
    return state.path


def _try_to_write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        _LOG.warning("%s; the checksum will be computed again at the next start", error)


def expected_sha256(path: Path, file: WeightsFile) -> str | None:
    """The published checksum of the official file, else the one recorded beside ``path``."""
    if file.sha256 is not None and path.name == file.name:
        return file.sha256
    record = sidecar(path)
    return record.read_text().split()[0] if record.is_file() else None


def sidecar(path: Path) -> Path:
    """File that records a checksum, in the format of ``sha256sum``."""
    return path.with_name(path.name + ".sha256")


def partial_path(path: Path) -> Path:
    """Where a file lies until it is complete."""
    return path.with_name(path.name + ".part")


def hash_file(path: Path) -> str:
    """Hex sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_bytes(*parts: bytes) -> str:
    """Hex sha256 of byte strings in a row."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
