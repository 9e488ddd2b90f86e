"""Files that a mesh file refers to: materials, textures, buffers."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from sam6d_ros.errors import InvalidMesh, TooLarge

log = logging.getLogger(__name__)

MAX_FACES, MAX_CONFINED_FACES = 20_000_000, 2_000_000  # 10 million take some 20 s and 2.4 GB
MAX_PIXELS, MAX_CONFINED_PIXELS = 500_000_000, 50_000_000  # three textures of 4096 × 4096
MAX_BYTES = 3 * 1024**3 // 2  # of one file
# Pillow's other formats start programs (EPS) or are no textures.
TEXTURE_FORMATS = ("PNG", "JPEG", "BMP", "TGA", "WEBP", "TIFF", "GIF", "DDS", "PPM")


class Companions:
    """Files beside a mesh; a record of those that were found, and of what is missing.

    Args:
        path: of the mesh file.
        confined: refuse files outside the folder of the mesh.

    Attributes:
        files: found files; the cache key covers them.
        notes: remarks for the log and the model's note.
        max_faces, max_pixels: of the whole mesh and of all its textures; lower if confined.
    """

    def __init__(self, path: Path, confined: bool = False) -> None:
        self.path, self._confined = path, confined
        self.files: set[Path] = set()
        self.notes: list[str] = []
        self.max_faces = MAX_CONFINED_FACES if confined else MAX_FACES
        self.max_pixels = MAX_CONFINED_PIXELS if confined else MAX_PIXELS
        self._images: dict[tuple[str, bytes], Image.Image | None] = {}
        self._pixels = 0

    def warn(self, note: str) -> None:
        """Log a remark on the mesh once and keep it.

        Args:
            note: the remark.
        """
        if note not in self.notes:
            self.notes.append(note)
            log.warning("%s: %s", self.path.name, note)

    def find(self, name: str, beside: Path | None = None) -> Path | None:
        """Return the file of a name, or None with a warning.

        Args:
            name: as the mesh or its material states it.
            beside: another file, in whose folder the name is looked up after that of the mesh.

        Raises:
            InvalidMesh: the file is outside the folder of the mesh, and it is confined.
        """
        found = self.look_up(name, beside)
        if found is None:
            self.warn(f"refers to {name.strip()[:200]}, which does not exist")
        return found

    def look_up(self, name: str, beside: Path | None = None) -> Path | None:
        """Return the file of a name, or None without a warning; raise as ``find``.

        Args:
            name: as the mesh refers to it.
            beside: file in whose folder is searched too.
        """
        folders = [self.path.parent, *([] if beside is None else [beside.parent])]
        for folder in folders:
            found = self._in_folder(folder, name.strip().strip("\"'"))
            if found is not None:
                self.files.add(found)
                return found
        return None

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None with a warning; raise as ``find``.

        Args:
            name: as the mesh refers to it.
        """
        path = self.find(name)
        return None if path is None else _content(path)

    def image(self, path: Path) -> Image.Image | None:
        """Return the RGB image in a file, or None with a warning.

        Args:
            path: of the image.
        """
        return self.decoded(_content(path), path.name)

    def decoded(self, data: bytes, name: str) -> Image.Image | None:
        """Return the RGB image in the bytes of a file, or None with a warning.

        An image that several parts share is decoded once.

        Args:
            data: content of the image file.
            name: of the image, for warnings.

        Raises:
            TooLarge: the textures of the mesh have more than ``max_pixels`` in all.
        """
        if (name, data) not in self._images:
            self._images[name, data] = self._decoded(data, name)
        return self._images[name, data]

    def _count_pixels(self, image: Image.Image, name: str) -> None:
        self._pixels += image.width * image.height
        if self._pixels > self.max_pixels:
            raise TooLarge(
                f"the texture {name[:200]} has {image.width} × {image.height} pixels; the textures "
                f"of a mesh may have {self.max_pixels:,} in all. Scale them down"
            )

    def _decoded(self, data: bytes, name: str) -> Image.Image | None:
        try:
            image = Image.open(BytesIO(data), formats=TEXTURE_FORMATS)
            self._count_pixels(image, name)
            return rgb_image(image)
        except (TooLarge, MemoryError):
            raise
        except Exception as error:  # a decoder may raise anything on a damaged file
            self.warn(f"the texture {name} cannot be read ({error}); it gives no colours")
            return None

    def _in_folder(self, folder: Path, name: str) -> Path | None:
        """Look for a name as it is, then as other systems write it.

        Paths of Windows have backslashes and ignore case; absolute paths of another machine are
        found by their last part.

        Returns:
            The file, or None.
        """
        slashed = name.replace("\\", "/")
        last = slashed.rsplit("/", 1)[-1]
        for candidate in dict.fromkeys((name, slashed, last)):
            self._check(folder, candidate)
            found = _ignoring_case(folder, candidate)
            if found is not None:
                self._check(folder, str(found))
                return found
        return None

    def _check(self, folder: Path, name: str) -> None:
        """Raise InvalidMesh for a name that is none, or is outside the folder if confined."""
        try:
            path = (folder / name).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # NUL characters, loops of links
            raise InvalidMesh(f"the mesh refers to {name!r:.200}: {error}") from error
        if self._confined and not path.is_relative_to(self.path.parent.resolve()):
            raise InvalidMesh(
                f"the mesh refers to {name!r:.200}, which is outside its folder; expected a file "
                "beside the mesh. Upload the mesh with its materials and textures in one folder"
            )


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise TooLarge(f"{path.name} has more than {MAX_BYTES / 1024**3:.1f} GiB; make it smaller")
    return path.read_bytes()


def _ignoring_case(folder: Path, name: str) -> Path | None:
    """Return the file of a relative or absolute path, whatever the case of its letters."""
    exact = folder / name
    try:
        if exact.is_file():
            return exact
        place = folder
        for part in Path(name).parts:
            here = place / part
            if not here.exists():
                same = [item for item in place.iterdir() if item.name.lower() == part.lower()]
                if not same:
                    return None
                here = min(same)
            place = here
        return place if place.is_file() and name else None
    except OSError:  # a name too long, a folder that cannot be listed
        return None


def rgb_image(image: Image.Image) -> Image.Image:
    """Return an image as 8-bit RGB; 16-bit grey is scaled, which ``convert`` clips instead.

    Args:
        image: of any mode.
    """
    if image.mode.startswith("I"):
        grey = np.asarray(image, np.float64)
        image = Image.fromarray((grey * (255 / 65535)).clip(0, 255).astype(np.uint8))
    return image.convert("RGB")
