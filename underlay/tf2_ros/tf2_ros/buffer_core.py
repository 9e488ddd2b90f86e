"""The tree of frames: takes transforms in, answers what one frame is in another."""

from __future__ import annotations

import threading

import numpy as np
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time

from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_ros.time_cache import Edge, StaticCache, TimeCache

Array = NDArray[np.float64]

UNIT_TOLERANCE = 10e-3  # of a quaternion's squared length, as in the original
MAX_DEPTH = 1000  # a longer chain is a loop


class BufferCore:
    """Stand-in for `tf2_py.BufferCore`: transforms of the last `cache_time` (10 s by default)."""

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._keep_ns = (cache_time or Duration(seconds=10)).nanoseconds
        self._frames: dict[str, StaticCache | TimeCache] = {}
        self._parents: set[str] = set()
        self._lock = threading.RLock()

    def clear(self) -> None:
        """Drop all transforms but the static ones; the frames stay known."""
        with self._lock:
            for cache in self._frames.values():
                cache.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at its stamp."""
        self._set(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at every time."""
        self._set(transform, authority, static=True)

    def can_transform_core(
        self, target_frame: str, source_frame: str, time: Time | TimeMessage
    ) -> tuple[bool, str]:
        """Whether `lookup_transform_core` would answer, and why not."""
        try:
            self.lookup_transform_core(target_frame, source_frame, time)
        except TransformException as error:
            return False, str(error)
        return True, ""

    def lookup_transform_core(
        self, target_frame: str, source_frame: str, time: Time | TimeMessage
    ) -> TransformStamped:
        """The transform that takes points of the source frame to the target frame.

        Time 0 is the newest time at which the whole chain is known.

        Raises:
            InvalidArgumentException: a name is empty or begins with a slash.
            LookupException: a frame is not known, or the frames are in a loop.
            ConnectivityException: no chain connects the two.
            ExtrapolationException: the chain is not known at that time.
        """
        stamp_ns = _nanoseconds(time)
        with self._lock:
            self._check_known("target_frame", target_frame)
            self._check_known("source_frame", source_frame)
            if stamp_ns == 0:
                stamp_ns = self._latest_common_ns(target_frame, source_frame)
            quat, shift = self._relative(target_frame, source_frame, stamp_ns)
        result = TransformStamped(child_frame_id=source_frame)
        result.header.frame_id = target_frame
        result.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        translation, rotation = result.transform.translation, result.transform.rotation
        translation.x, translation.y, translation.z = shift.tolist()
        rotation.x, rotation.y, rotation.z, rotation.w = quat.tolist()
        return result

    def _set(self, transform: TransformStamped, authority: str, static: bool) -> None:
        child = transform.child_frame_id.removeprefix("/")
        parent = transform.header.frame_id.removeprefix("/")
        r, t = transform.transform.rotation, transform.transform.translation
        edge = Edge(parent, np.array([r.x, r.y, r.z, r.w]), np.array([t.x, t.y, t.z]))
        if problem := _problem(child, edge):
            get_logger("tf2").error(
                f'{problem}: Ignoring transform for child_frame_id "{child}" from authority '
                f'"{authority}"'
            )
            return
        kind = StaticCache if static else TimeCache
        with self._lock:
            if not isinstance(self._frames.get(child), kind):
                self._frames[child] = StaticCache() if static else TimeCache(self._keep_ns)
            self._parents.add(parent)
            kept = self._frames[child].insert(_nanoseconds(transform.header.stamp), edge)
        if not kept:
            get_logger("tf2").warning(
                f"TF_OLD_DATA ignoring data from the past for frame {child} according to "
                f"authority {authority}"
            )

    def _check_known(self, argument: str, frame: str) -> None:
        passed = f'"{frame}" passed to lookupTransform argument {argument}'
        if not frame:
            raise InvalidArgumentException(
                f"Invalid argument {passed} - in tf2 frame_ids cannot be empty"
            )
        if frame.startswith("/"):
            raise InvalidArgumentException(
                f"Invalid argument {passed} - in tf2 frame_ids cannot start with a '/'"
            )
        if frame not in self._frames and frame not in self._parents:
            raise LookupException(f"{passed} does not exist. ")

    def _latest_common_ns(self, target: str, source: str) -> int:
        """The newest time at which every moving transform between the two is known."""
        chains = [self._latest_chain(frame) for frame in (source, target)]
        frames = [[frame for frame, _ in chain] for chain in chains]
        common = next((frame for frame in frames[0] if frame in frames[1]), None)
        if common is None:
            raise _not_connected(target, source)
        between = [
            stamp
            for chain, names in zip(chains, frames, strict=True)
            for _, stamp in chain[: names.index(common)]
        ]
        return min((stamp for stamp in between if stamp), default=0)

    def _latest_chain(self, frame: str) -> list[tuple[str, int]]:
        """The frames from one to its root, each with the newest stamp of its way up."""
        chain = []
        while len(chain) <= MAX_DEPTH:
            cache = self._frames.get(frame)
            stamp, parent = cache.latest() if cache else (0, "")
            chain.append((frame, stamp))
            if not parent:
                return chain
            frame = parent
        raise LookupException("The tf tree is invalid because it contains a loop.")

    def _relative(self, target: str, source: str, stamp_ns: int) -> tuple[Array, Array]:
        """Quaternion and shift from source to target, over their first common ancestor."""
        ways, errors = [], []
        for frame in (source, target):
            way, error = self._way_up(frame, stamp_ns)
            ways.append(way)
            errors.append(error)
        common = next((frame for frame in ways[0] if frame in ways[1]), None)
        if common is None:
            error = errors[1] or errors[0]
            if error is None:
                raise _not_connected(target, source)
            raise ExtrapolationException(
                f"{error}, when looking up transform from frame [{source}] to frame [{target}]"
            )
        (quat_s, shift_s), (quat_t, shift_t) = ways[0][common], ways[1][common]
        back = quat_t * (-1, -1, -1, 1)
        return _product(back, quat_s), _rotate(back, shift_s - shift_t)

    def _way_up(
        self, frame: str, stamp_ns: int
    ) -> tuple[dict[str, tuple[Array, Array]], ExtrapolationException | None]:
        """Each ancestor with the transform to it, and what ended the way before the root."""
        quat, shift = np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3)
        way = {frame: (quat, shift)}
        while cache := self._frames.get(frame):
            try:
                edge = cache.at(stamp_ns)
            except ExtrapolationException as error:
                return way, error
            if edge.parent in way:
                raise LookupException("The tf tree is invalid because it contains a loop.")
            shift = _rotate(edge.quat_xyzw, shift) + edge.shift
            quat = _product(edge.quat_xyzw, quat)
            frame = edge.parent
            way[frame] = (quat, shift)
        return way, None


def _nanoseconds(time: Time | TimeMessage) -> int:
    if isinstance(time, TimeMessage):
        return time.sec * 1_000_000_000 + time.nanosec
    return int(time.nanoseconds)


def _problem(child: str, edge: Edge) -> str:
    """The original's name for what is wrong with a transform, or nothing."""
    if child == edge.parent:
        return "TF_SELF_TRANSFORM"
    if not child:
        return "TF_NO_CHILD_FRAME_ID"
    if not edge.parent:
        return "TF_NO_FRAME_ID"
    if np.isnan([*edge.quat_xyzw, *edge.shift]).any():
        return "TF_NAN_INPUT"
    if abs(edge.quat_xyzw @ edge.quat_xyzw - 1) >= UNIT_TOLERANCE:
        return "TF_DENORMALIZED_QUATERNION"
    return ""


def _not_connected(target: str, source: str) -> ConnectivityException:
    return ConnectivityException(
        f"Could not find a connection between '{target}' and '{source}' because they are not part "
        "of the same tree.Tf has two or more unconnected trees."
    )


def _product(a: Array, b: Array) -> Array:
    """The turn `b` followed by the turn `a`, quaternions (x, y, z, w)."""
    vector = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
    return np.append(vector, a[3] * b[3] - a[:3] @ b[:3])


def _rotate(quat: Array, point: Array) -> Array:
    twice = 2 * np.cross(quat[:3], point)
    return point + quat[3] * twice + np.cross(quat[:3], twice)
