"""Transforms of a bag's ``/tf`` and ``/tf_static``, looked up by stamp.

A transform between two stamps is interpolated as tf2 does: the translation linearly, the rotation
along the shortest arc. Nothing is extrapolated.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from sam6d_ros.errors import InvalidBag, InvalidInput
from sam6d_ros.frames.bags.reader import BagReader
from sam6d_ros.frames.messages.frames import stamp_ns_of
from sam6d_ros.geometry import se3

Array = NDArray[np.float64]

TF, TF_STATIC = "/tf", "/tf_static"
NO_POSE = np.full((4, 4), np.nan)


@dataclass(frozen=True)
class Link:
    """A frame below its parent.

    Attributes:
        parent: name.
        is_static: whether one pose holds for all stamps.
        poses: (stamp, parent_from_child (4, 4)) by stamp, nanoseconds.
    """

    parent: str
    is_static: bool
    poses: list[tuple[int, Array]] = field(default_factory=list)

    def at(self, stamp_ns: int) -> Array:
        """Return parent_from_child (4, 4); NaN outside the recorded stamps."""
        if self.is_static:
            return self.poses[-1][1]
        after = bisect_left(self.poses, stamp_ns, key=lambda row: row[0])
        if after < len(self.poses) and self.poses[after][0] == stamp_ns:
            return self.poses[after][1]
        if not 0 < after < len(self.poses):
            return NO_POSE
        (start, first), (end, last) = self.poses[after - 1 : after + 1]
        share = (stamp_ns - start) / (end - start)
        turns = Slerp([0, 1], Rotation.from_matrix([first[:3, :3], last[:3, :3]]))
        shift = (1 - share) * first[:3, 3] + share * last[:3, 3]
        return se3.from_rotation_translation(turns(share).as_matrix(), shift)


class Transforms:
    """Tree of frames.

    Args:
        path: the bag, for errors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._links: dict[str, Link] = {}

    def add(self, message: Any, is_static: bool) -> None:
        """Add the transforms of a ``tf2_msgs/TFMessage``.

        Raises:
            InvalidBag: one is no rigid transform.
        """
        for stamped in message.transforms:
            parent, child = (_name(n) for n in (stamped.header.frame_id, stamped.child_frame_id))
            at, turn = stamped.transform.translation, stamped.transform.rotation
            try:
                pose = se3.from_quat_xyzw_translation(
                    [turn.x, turn.y, turn.z, turn.w], [at.x, at.y, at.z]
                )
                pose = se3.check_rigid(pose, f"the transform from {child} to {parent}")
            except (InvalidInput, ValueError) as error:
                raise InvalidBag(f"{self._path}: {child} below {parent}: {error}") from error
            link = self._links.get(child)
            if link is None or (link.parent, link.is_static) != (parent, is_static):
                link = self._links[child] = Link(parent, is_static)
            if is_static:
                link.poses.clear()
            insort(link.poses, (stamp_ns_of(stamped.header), pose), key=lambda row: row[0])

    def target_from_source(self, target: str, source: str, stamp_ns: int) -> Array:
        """Return the transform (4, 4) of a stamp; NaN where a link is not recorded at the stamp.

        Args:
            target: frame.
            source: frame.
            stamp_ns: nanoseconds.

        Raises:
            InvalidInput: a frame is unknown, or nothing connects them.
        """
        up, down = self._ancestors(_name(source)), self._ancestors(_name(target))
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise InvalidInput(
                f"{self._path}: {TF} does not connect {target!r} with {source!r}, the frame of "
                f"the images; expected one of the frames {', '.join(sorted(self._names()))}"
            )
        from_source = self._along(up[: up.index(common)], stamp_ns)
        from_target = self._along(down[: down.index(common)], stamp_ns)
        return se3.inverse(from_target) @ from_source

    def _names(self) -> set[str]:
        return {*self._links, *(link.parent for link in self._links.values())} or {"(none)"}

    def _ancestors(self, frame: str) -> list[str]:
        """Return a frame, its parent and so on up to the root."""
        out = [frame]
        while (link := self._links.get(out[-1])) is not None and link.parent not in out:
            out.append(link.parent)
        return out

    def _along(self, frames: list[str], stamp_ns: int) -> Array:
        """Return the transform (4, 4) from the first frame to the parent of the last one."""
        pose = np.eye(4)
        for frame in frames:
            pose = self._links[frame].at(stamp_ns) @ pose
        return pose


def bag_transforms(path: Path) -> Transforms:
    """Read the transforms of a bag.

    Returns:
        The tree of its frames.

    Raises:
        InvalidBag: the bag is damaged, or has neither ``/tf`` nor ``/tf_static``.
    """
    with BagReader(path) as bag:
        topics = [topic for topic in bag.topics if topic.name in (TF, TF_STATIC)]
        if not topics:
            raise InvalidBag(f"{path} has no {TF}; expected it in the bag, or other camera poses")
        out = Transforms(path)
        for recorded in bag.messages(topics):
            out.add(recorded.message(), recorded.topic.name == TF_STATIC)
    return out


def _name(frame: str) -> str:
    return frame.lstrip("/")
