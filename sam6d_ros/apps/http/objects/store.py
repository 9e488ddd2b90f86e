"""Uploaded objects on the disk: mesh folders and an objects file, which a restart restores."""

from __future__ import annotations

import fcntl
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from sam6d_ros.apps.http.settings import Limits
from sam6d_ros.cad.mesh_files import SUFFIXES, count_faces
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.cad.objects import load_entry, read_objects_file, write_objects_file
from sam6d_ros.errors import InvalidInput, InvalidMesh, InvalidObjects, ResourceExhausted, TooLarge
from sam6d_ros.runtime.objects import ObjectSet

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
INDEX = "objects.yaml"
LOCK = ".lock"
# Materials and textures beside a mesh.
EXTRA_SUFFIXES = (".mtl", ".png", ".jpg", ".jpeg", ".bin", ".bmp", ".tga", ".tif", ".tiff", ".webp")


def check_name(name: str) -> str:
    """Return a name that may become a folder and a ROS topic.

    Raises:
        InvalidObjects: it may not.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise InvalidObjects(
            f"name is {name!r:.100}; expected letters, digits, '.', '_' and '-', at most 64"
        )
    return name


def check_mesh(path: Path, limits: Limits) -> None:
    """Refuse a mesh file that is larger than allowed, by its size and header.

    Raises:
        InvalidMesh: it is no file.
        TooLarge: with the size and the limit.
    """
    if not path.is_file():
        raise InvalidMesh(f"{path.name} is no file; expected a CAD file ({', '.join(SUFFIXES)})")
    size = path.stat().st_size
    if size > limits.mesh_bytes:
        raise TooLarge(
            f"{path.name} has {size / 2**20:.1f} MiB; at most {limits.mesh_bytes / 2**20:.0f} MiB "
            "are loaded"
        )
    faces = count_faces(path) if path.suffix.lower() in SUFFIXES and size else None
    if faces is not None and faces > limits.mesh_faces:
        raise TooLarge(
            f"{path.name} has {faces:,} faces; at most {limits.mesh_faces:,} are loaded. Decimate "
            "it: 200,000 faces are plenty"
        )


def load_confined(entry: ObjectEntry, cache_dir: Path | None, limits: Limits) -> ObjectModel:
    """Onboard a client's mesh, which may refer only to files in its own folder.

    Returns:
        The object.

    Raises:
        InvalidMesh: it is unusable.
        TooLarge: it has too many bytes or faces.
        InvalidObjects: its templates are unusable.
    """
    if not entry.mesh.is_file():
        raise InvalidMesh(f"the CAD file of {entry.name!r} does not exist")
    check_mesh(entry.mesh, limits)
    model = load_entry(entry, cache_dir, confined=True)
    if len(model.faces) > limits.mesh_faces:
        raise TooLarge(
            f"{entry.mesh.name} has {len(model.faces):,} faces; at most {limits.mesh_faces:,}"
        )
    return model


class ObjectStore:
    """Folder of uploaded objects; several servers may share it.

    The index is changed entry by entry under a lock: entries of other servers, and those that could
    not be restored, stay.

    Args:
        folder: of the server; made at the first upload. None keeps uploads until the end only.
        limits: bounds on meshes.
        cache_dir: folder of onboarded objects.
    """

    def __init__(self, folder: Path | None, limits: Limits, cache_dir: Path | None) -> None:
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        self.folder = folder or Path(self._temporary.name if self._temporary else "")
        self._limits, self._cache_dir = limits, cache_dir
        self.entries: dict[str, ObjectEntry] = {}

    def restore(self) -> ObjectSet:
        """Return the stored objects; one that cannot be loaded is logged and left out."""
        index, models = self.folder / INDEX, {}
        for entry in read_objects_file(index) if index.is_file() else ():
            try:
                models[entry.name] = load_confined(entry, self._cache_dir, self._limits)
            except (InvalidInput, ResourceExhausted) as error:
                log.warning("the uploaded object %s is not restored: %s", entry.name, error)
                continue
            self.entries[entry.name] = entry
        settings = {name: entry.settings for name, entry in self.entries.items()}
        return ObjectSet(models, dict(self.entries), settings)

    def receive(self, name: str, files: Sequence[tuple[str, bytes]]) -> Path:
        """Write an uploaded mesh with its materials into a new folder.

        Returns:
            Path of the mesh.

        Raises:
            InvalidObjects: a file name is unusable or there twice, or there is not one mesh.
            TooLarge: the files are, or there are too many uploads.
        """
        meshes = [file for file, _ in files if _suffix(file) in SUFFIXES]
        if len(meshes) != 1:
            raise InvalidObjects(
                f"the upload has {len(meshes)} meshes ({', '.join(SUFFIXES)}); expected one, with "
                "its materials and textures"
            )
        for file, _ in files:
            if _suffix(file) not in (*SUFFIXES, *EXTRA_SUFFIXES):
                raise InvalidObjects(
                    f"file {file!r:.100} is no mesh, material or texture; expected one of "
                    f"{', '.join((*SUFFIXES, *EXTRA_SUFFIXES))}"
                )
        named = [(_plain_name(file), content) for file, content in files]
        names = [file for file, _ in named]
        if len(set(names)) < len(names):
            raise InvalidObjects(f"the upload has two files of one name: {sorted(names)}")
        self._check_space(name, sum(len(content) for _, content in files))
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        try:
            for file, content in named:
                (folder / file).write_bytes(content)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder / _plain_name(meshes[0])

    def _check_space(self, name: str, size: int) -> None:
        limits = self._limits
        if size > limits.mesh_bytes:
            raise TooLarge(f"the upload is larger than {limits.mesh_bytes / 2**20:.0f} MiB")
        if name not in self.entries and len(self.entries) >= limits.uploads:
            raise TooLarge(f"{limits.uploads} uploaded objects are kept; delete one first")
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = sum(path.stat().st_size for path in self.folder.glob("*/*"))
        if kept + size > limits.upload_bytes:
            raise TooLarge(
                f"the uploads have {kept / 2**20:.0f} MiB of at most "
                f"{limits.upload_bytes / 2**20:.0f} MiB; delete objects first"
            )

    def keep(self, entry: ObjectEntry) -> None:
        """List an object whose mesh ``receive`` wrote; drop the files of its predecessor."""
        before = self._change(lambda entries: _put(entries, entry))
        self.entries[entry.name] = entry
        if before is not None and before.mesh != entry.mesh:
            self.discard(before.mesh)

    def drop(self, name: str) -> None:
        """Drop an object and delete its files."""
        entry = self.entries.pop(name)
        self._change(lambda entries: entries.pop(name, None))
        self.discard(entry.mesh)

    def discard(self, mesh: Path) -> None:
        """Delete the folder of a mesh that ``receive`` wrote."""
        if mesh.parent.parent == self.folder:
            shutil.rmtree(mesh.parent, ignore_errors=True)

    def _change(
        self, change: Callable[[dict[str, ObjectEntry]], ObjectEntry | None]
    ) -> ObjectEntry | None:
        """Change the index on the disk, whole or not at all; return what the change returns."""
        index, new = self.folder / INDEX, self.folder / f"{INDEX}.new"
        with (self.folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stored = read_objects_file(index) if index.is_file() else []
            entries = {entry.name: entry for entry in stored}
            before = change(entries)
            write_objects_file(new, [*entries.values()])
            new.replace(index)
        return before


def _put(entries: dict[str, ObjectEntry], entry: ObjectEntry) -> ObjectEntry | None:
    before = entries.get(entry.name)
    entries[entry.name] = entry
    return before


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _plain_name(name: str) -> str:
    """Return the last part of a client's file name.

    Raises:
        InvalidObjects: it is no plain file name.
    """
    plain = PurePosixPath(name.replace("\\", "/")).name
    size = len(plain.encode(errors="replace"))
    if not 0 < size <= 128 or plain.startswith(".") or "\0" in plain:
        raise InvalidObjects(f"file name {name!r:.100} is unusable; expected a plain file name")
    return plain
