"""Usable RGB-D frames of a bag, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sam6d_ros.errors import InvalidBag, InvalidInput
from sam6d_ros.frames.bags.pairs import SLOP_NS, Pairs
from sam6d_ros.frames.bags.reader import BagReader
from sam6d_ros.frames.bags.topics import SEARCHED, TopicNames, camera_topics
from sam6d_ros.frames.messages.frames import frame_from_messages
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.types import Frame


def bag_frames(
    path: Path, shown: object = None, names: TopicNames = SEARCHED
) -> Iterator[tuple[int, Frame] | None]:
    """Yield frames with the times of their receipt, nanoseconds; None for other messages.

    Args:
        path: bag with one RGB-D camera.
        shown: the bag in errors; ``path`` by default.
        names: topics of the camera.

    Raises:
        InvalidBag: the bag is damaged, or has no usable frame.
        InvalidInput: it has no RGB-D camera, or several.
    """
    count, problem = 0, ""
    with BagReader(path) as bag:
        paired = Pairs(camera_topics(bag, *names))
        for found in paired.sets(bag):
            if found is None:
                yield None
                continue
            try:
                frame = frame_from_messages(found.rgb, found.depth, found.info)
            except InvalidInput as error:
                problem = str(error)
                continue
            count += 1
            yield found.time_ns, frame
    if not count:
        gap = f"no colour and depth image within {SLOP_NS / NS_PER_S:g} s of each other"
        reason = problem or paired.problem or gap
        raise InvalidBag(f"{shown or path} has no usable frame: {reason}")
