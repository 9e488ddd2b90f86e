"""Recordings to be labelled, as frames of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.fleet.tasks import FrameFiles, FrameTask
from sam6d_ros.frames.recordings import CAMERA_FILES, Recording

BAG_SUFFIXES = (".mcap", ".db3", ".bag")


@dataclass(frozen=True)
class Image:
    """Image of a recording.

    Attributes:
        im_id: its number in the dataset.
        key: of its task.
        files: where it is; None for an image that is stored as it is read.
    """

    im_id: int
    key: str
    files: FrameFiles | None = None


class LabelSource(Protocol):
    """One recording.

    Attributes:
        path: of its folder or file.
        images: those that ``tasks`` has come to.
    """

    path: Path
    images: list[Image]

    @property
    def count(self) -> int:
        """Number of its images, roughly."""

    def tasks(self, is_done: Callable[[str], bool], scene: Path) -> Iterator[FrameTask]:
        """Yield the frames that need work.

        Args:
            is_done: whether the frame of a key needs none.
            scene: folder of the dataset for images that have no file.
        """


class FolderRecording:
    """Recording in a folder of image files; see ``frames.recordings.Recording``.

    Args:
        folder: of the recording.
        every: use every n-th image.
    """

    def __init__(self, folder: Path, every: int = 1) -> None:
        recording = Recording(folder)
        self.path = folder.resolve()
        files = recording.files
        numbers = [int(rgb.stem) if rgb.stem.isdecimal() else -1 for rgb, _ in files]
        if -1 in numbers or len(set(numbers)) < len(numbers):
            numbers = [*range(len(files))]
        camera = recording.camera_file.resolve()
        sources = [FrameFiles(rgb.resolve(), depth.resolve(), camera) for rgb, depth in files]
        self.images = [
            Image(number, f"{self.path}/{source.rgb.name}", source)
            for number, source in zip(numbers, sources, strict=True)
        ][::every]

    @property
    def count(self) -> int:
        """Number of its images."""
        return len(self.images)

    def tasks(self, is_done: Callable[[str], bool], scene: Path) -> Iterator[FrameTask]:
        """Yield the frames that need work; nothing is written to ``scene``."""
        for image in self.images:
            if image.files is not None and not is_done(image.key):
                yield FrameTask(image.key, image.files)


def is_bag(path: Path) -> bool:
    """Whether a path is that of a ROS 2 bag: a file of it, or its folder."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(
            item.suffix in BAG_SUFFIXES for item in path.iterdir()
        )
    return path.suffix in BAG_SUFFIXES


def recording_folders(path: Path) -> list[Path]:
    """Return the recordings in a folder: itself, or those below it.

    Raises:
        InvalidDataset: there is none.
    """
    if not path.is_dir():
        raise InvalidDataset(f"{path} is neither a folder of frames nor a bag")
    if _holds_frames(path):
        return [path]
    found = sorted(p for p in path.rglob("*") if p.is_dir() and _holds_frames(p))
    if not found:
        raise InvalidDataset(
            f"{path} has no recording in it; expected folders with rgb/, depth/ and one of "
            f"{', '.join(CAMERA_FILES)}"
        )
    return found


def _holds_frames(folder: Path) -> bool:
    has_camera = any((folder / name).is_file() for name in CAMERA_FILES)
    return has_camera and (folder / "depth").is_dir()
