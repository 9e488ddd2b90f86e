"""Arguments of the commands that read or write bags, and the types of their values."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

STORAGES = ("mcap", "sqlite3")


def add_bag_option(parser: argparse._ActionsContainer) -> None:
    """The bag to read."""
    parser.add_argument(
        "--bag", type=Path, required=True, metavar="BAG", help="folder of the bag, or .mcap, .db3"
    )


def add_topic_options(parser: argparse._ActionsContainer) -> None:
    """The topics of the camera, where the bag has several."""
    for name, what in (("rgb", "colour images"), ("depth", "depth images"), ("info", "CameraInfo")):
        parser.add_argument(
            f"--{name}-topic", type=topic_name, metavar="TOPIC", help=f"{what} of the bag"
        )


def topic_names(args: argparse.Namespace) -> tuple[str | None, str | None, str | None]:
    """Return the values of ``add_topic_options``: colour, depth, CameraInfo."""
    return args.rgb_topic, args.depth_topic, args.info_topic


def add_storage_option(parser: argparse._ActionsContainer) -> None:
    """The file format of a new bag."""
    parser.add_argument(
        "--storage", choices=STORAGES, default="mcap", help="format of the bag (default: mcap)"
    )


def topic_name(text: str) -> str:
    """An absolute topic name; a relative one is taken from the root, as `ros2 bag` does."""
    name = "/" + text.lstrip("/")
    if not all(part.isidentifier() for part in name[1:].split("/")):
        raise argparse.ArgumentTypeError(f"{text!r} is no topic name; expected such as /camera/rgb")
    return name


def positive(text: str) -> float:
    """A number above zero."""
    return _number(text, lowest=0.0, exclusive=True)


def non_negative(text: str) -> float:
    """A number, zero or more."""
    return _number(text, lowest=0.0)


def positive_int(text: str) -> int:
    """A whole number, one or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number of at least 1")
    return int(text)


def _number(text: str, lowest: float, exclusive: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < lowest or (exclusive and value == lowest):
        bound = "above" if exclusive else "of at least"
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number {bound} {lowest:g}")
    return value
