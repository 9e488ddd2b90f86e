"""Recordings of commands: a folder of images or a ROS 2 bag."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam6d_ros.apps.cli.bag_options import topic_names
from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.errors import InvalidInput
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.scan.bags import bag_recording
from sam6d_ros.scan.frames import thinned
from sam6d_ros.scan.motion import Frames

BAG_SUFFIXES = (".mcap", ".db3")
EVERY_HELP = "use every N-th frame (default all)"


def read_frames(path: Path, every: int, args: argparse.Namespace) -> Frames:
    """Return the frames of a folder, or of a bag in memory.

    Args:
        path: the folder or bag.
        every: 1 for all frames.
        args: with the options of ``add_topic_options``.

    Raises:
        InvalidInput: ``every`` is below 1; too many frames of a bag; no usable frame.
    """
    if every < 1:
        raise InvalidInput(f"--every is {every}; expected 1 or more")
    if not path.exists():
        raise InvalidInput(
            f"{path} does not exist; expected the folder of a ROS 2 bag, or a folder with rgb/, "
            "depth/ and a camera file"
        )
    names = topic_names(args)
    if not is_bag(path):
        if any(names):
            raise InvalidInput(f"{path} is a folder of images; expected a bag, which has topics")
        return thinned(Recording(path), every)
    with CONSOLE.status("reading the bag"):
        return bag_recording(path, every, names)


def is_bag(path: Path) -> bool:
    """Whether a recording is a bag."""
    return path.suffix in BAG_SUFFIXES or (path / "metadata.yaml").is_file()


def check_has_tf(path: Path) -> None:
    """Refuse --fixed-frame for a recording that is no bag.

    Raises:
        InvalidInput: the recording is a folder of images.
    """
    if not is_bag(path):
        raise InvalidInput(
            f"--fixed-frame is given, but {path} is a folder, which has no /tf; expected a bag. "
            "Give --poses"
        )
