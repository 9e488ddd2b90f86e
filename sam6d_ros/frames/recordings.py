"""A folder of RGB-D frames on disk, in the order of their file names. Holds no ROS type."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.frames import load_frame
from sam6d_ros.types import Frame

COLOUR_FOLDERS = ("rgb", "gray")
CAMERA_FILES = ("scene_camera.json", "camera.json", "camera_info.yaml", "camera.yaml")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".exr")
# Decoding a frame costs more than sending it; a short loop is decoded once.
FRAMES_IN_MEMORY = 16


class Recording:
    """Frames of a folder with ``rgb/``, ``depth/`` and a camera file, as a BOP scene has them.

    Args:
        folder: for a BOP dataset, one scene: ``DATASET/test/000001``.
        image: number of the only image wanted; all of them when negative.

    Attributes:
        files: colour and depth file of each frame.
        camera_file: of all frames.

    Raises:
        InvalidDataset: there is no such folder, or no image with depth and intrinsics in it.
    """

    def __init__(self, folder: Path, image: int = -1) -> None:
        self.folder = folder
        self.camera_file = self._find_camera_file()
        colour = next((folder / n for n in COLOUR_FOLDERS if (folder / n).is_dir()), folder / "rgb")
        images = sorted(p for p in colour.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if image >= 0:
            images = [p for p in images if p.stem.isdigit() and int(p.stem) == image]
        if not images:
            wanted = f"no image number {image}" if image >= 0 else "no image"
            raise InvalidDataset(f"{colour} has {wanted}; expected files such as 000001.png")
        self.files = [(path, self._depth_of(path)) for path in images]
        self.frame = lru_cache(maxsize=FRAMES_IN_MEMORY)(self._load)

    def __len__(self) -> int:
        return len(self.files)

    def _load(self, index: int) -> Frame:
        rgb, depth = self.files[index]
        return load_frame(rgb, depth, self.camera_file)

    def _find_camera_file(self) -> Path:
        if not self.folder.is_dir():
            raise InvalidDataset(
                f"the folder {self.folder} does not exist; give a folder with rgb/, depth/ and a "
                "camera file (for a BOP dataset, one scene such as test/000001)"
            )
        for name in CAMERA_FILES:
            if (self.folder / name).is_file():
                return self.folder / name
        raise InvalidDataset(f"{self.folder} has no camera file; expected one of {CAMERA_FILES}")

    def _depth_of(self, image: Path) -> Path:
        for suffix in DEPTH_SUFFIXES:
            path = self.folder / "depth" / (image.stem + suffix)
            if path.is_file():
                return path
        raise InvalidDataset(f"{self.folder}/depth has no image for {image.name}")
