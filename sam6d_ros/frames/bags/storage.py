"""Files of a bag: the choice of the storage file, and errors for unreadable ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam6d_ros.errors import InvalidBag

log = logging.getLogger(__name__)

METADATA = "metadata.yaml"
STORAGE_SUFFIXES = (".mcap", ".db3")
UNCLOSED = (
    "If its recording was cut off: `mcap recover FILE` for MCAP, `ros2 bag reindex DIR` for a "
    f"missing {METADATA}"
)


def storage_of(path: Path) -> Path:
    """Return the path to open: the folder, or its only storage file without metadata.yaml.

    Raises:
        InvalidBag: there is no ROS 2 bag.
    """
    if not path.exists():
        raise InvalidBag(f"{path} does not exist; expected the folder of a ROS 2 bag")
    if path.is_file():
        if path.suffix == ".bag":
            raise InvalidBag(
                f"{path} is a ROS 1 bag; convert it: rosbags-convert --src {path.name} --dst OUT"
            )
        if path.name == METADATA:
            return path.parent
        if path.suffix not in STORAGE_SUFFIXES:
            raise InvalidBag(
                f"{path} is no ROS 2 bag; expected a folder with {METADATA}, or one of "
                f"{', '.join(STORAGE_SUFFIXES)}"
            )
        return path
    if (path / METADATA).is_file():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in STORAGE_SUFFIXES)
    if len(files) == 1:
        log.warning("%s has no %s; reading %s alone", path, METADATA, files[0].name)
        return files[0]
    raise InvalidBag(
        f"{path} has no {METADATA} and {len(files)} storage files; expected the folder of a "
        "ROS 2 bag. `ros2 bag reindex` writes it anew, or give one of the files"
    )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what reading a bag raises into the error that names the bag."""
    try:
        yield
    except InvalidBag:
        raise
    # rosbags unpacks the content of the file and checks little of it: damaged files end in errors
    # of every kind (struct, Unicode, assertions, zstd, SQLite, even memory).
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InvalidBag(f"{path} is no readable ROS 2 bag: {reason}. {UNCLOSED}") from error
