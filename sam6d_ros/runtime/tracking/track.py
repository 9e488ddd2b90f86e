"""One followed instance: where it was, where it is expected, and how sure that is."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate

Array = NDArray[np.float64]

VELOCITY_GAIN = 0.6  # of the newest motion in the velocity: the rest is what was known before
PREDICTION_GAIN = 0.8  # below 1: what no frame binds must not run away
MAX_EXTRAPOLATION_S = 0.2  # a velocity is not valid beyond
DECAY_S = 0.3  # of the velocity of an instance that is not seen
USUAL_GAIN, USUAL_SHARE = 0.05, 0.7  # a score falls when something hides the object, by less
UNCERTAIN_ROTATION_RAD = np.radians(2)  # standard deviation
# How fast the pose of an unseen instance grows uncertain.
COASTING_SPEED, COASTING_TURN = 0.05, 0.5  # m/s, rad/s


class Track:
    """One physical object.

    Attributes:
        name: the instance id.
        key: id under which the tracker stores it, another one after each jump of its pose.
        model: what it is one of.
        pose: the newest estimate; while the object is not seen, what was last seen, moved on.
        seen_ns: stamp of the newest frame that confirmed it.
        velocity: (6,) per second, see ``moved``.
        missed: full estimates in a row that did not contain it.
    """

    def __init__(
        self, name: str, key: str, model: ObjectModel, pose: PoseEstimate, stamp_ns: int
    ) -> None:
        self.name, self.key, self.model = name, key, model
        self.pose = pose
        self.stamp_ns = self.seen_ns = stamp_ns
        self.velocity = np.zeros(6)
        self.missed = 0
        self._last_seen = pose
        self._usual_score = 0.0
        self._history: deque[tuple[int, Array]] = deque([(stamp_ns, pose.cam_from_obj)])

    @property
    def is_seen(self) -> bool:
        """Whether the newest frame confirmed it."""
        return self.seen_ns == self.stamp_ns

    @property
    def known_since_ns(self) -> int:
        """First stamp of the history that ``at`` interpolates."""
        return self._history[0][0]

    @property
    def last_seen(self) -> PoseEstimate:
        """The newest estimate that a frame confirmed."""
        return self._last_seen

    @property
    def centre_obj(self) -> Array:
        """Centre of the box, object frame, metres."""
        return self.model.obj_from_box[:3, 3]

    @property
    def centre_cam(self) -> Array:
        """The same in the camera frame, at the newest pose."""
        return self.pose.cam_from_obj[:3, :3] @ self.centre_obj + self.pose.cam_from_obj[:3, 3]

    @property
    def has_uncertain_rotation(self) -> bool:
        """Whether the rotation is not observable, as of a can without its label in view."""
        covariance = self.pose.covariance
        if covariance is None:
            return False
        return bool(np.linalg.eigvalsh(covariance[3:, 3:])[-1] > UNCERTAIN_ROTATION_RAD**2)

    def accepts(self, pose: PoseEstimate | None, share: float = USUAL_SHARE) -> bool:
        """Return whether a pose is there and has a share of the usual score of this instance.

        Args:
            pose: the estimate, or None.
            share: the share.
        """
        return pose is not None and pose.score >= share * self._usual_score

    def unseen_s(self, stamp_ns: int) -> float:
        """Return the seconds from the newest frame that confirmed it to a stamp; 0 for an earlier
        one.

        Args:
            stamp_ns: the stamp, nanoseconds.
        """
        return max(0.0, (stamp_ns - self.seen_ns) * 1e-9)

    def predicted(self, stamp_ns: int, common: Array | None = None) -> Array:
        """Predict the pose at a later stamp by constant velocity.

        Given how the others moved meanwhile, (4, 4), it turns as they did and only its shift is
        its own.

        Args:
            stamp_ns: the stamp, nanoseconds.
            common: (4, 4) motion of the other instances since the last stamp, or None.

        Returns:
            (4, 4) cam_from_obj.
        """
        ahead = min((stamp_ns - self.stamp_ns) * 1e-9, MAX_EXTRAPOLATION_S)
        twist = PREDICTION_GAIN * ahead * self.velocity
        if common is not None:
            twist[3:] = se3.log(common)[3:]
        return se3.moved(self.pose.cam_from_obj, twist, self.centre_obj)

    def moved_on(self, stamp_ns: int, common: Array | None = None) -> PoseEstimate:
        """Return the newest estimate at its predicted pose.

        Args:
            stamp_ns: the stamp, nanoseconds.
            common: (4, 4) motion of the other instances since the last stamp, or None.
        """
        return replace(self.pose, cam_from_obj=self.predicted(stamp_ns, common))

    def confirm(self, pose: PoseEstimate, stamp_ns: int) -> None:
        """Record the pose that a frame shows.

        Args:
            pose: the estimate.
            stamp_ns: of the frame, nanoseconds.
        """
        elapsed = (stamp_ns - self.stamp_ns) * 1e-9
        if elapsed > 0:
            before, after = self.pose.cam_from_obj, pose.cam_from_obj
            newest = se3.difference(after, before, self.centre_obj) / elapsed
            self.velocity = (1 - VELOCITY_GAIN) * self.velocity + VELOCITY_GAIN * newest
        self.seen_ns = stamp_ns
        self._last_seen = pose
        risen = max(self._usual_score, pose.score)  # a slipping track must not get used to it
        self._usual_score = risen + USUAL_GAIN * (pose.score - risen)
        self._advance(pose, stamp_ns)

    def coast(self, cam_from_obj: Array, stamp_ns: int, coast_s: float) -> None:
        """Record an assumed pose while no frame shows the instance; score and certainty fall.

        Args:
            cam_from_obj: (4, 4).
            stamp_ns: of the frame, nanoseconds.
            coast_s: seconds after which the score is 0.
        """
        self.velocity *= np.exp(-(stamp_ns - self.stamp_ns) * 1e-9 / DECAY_S)
        unseen_s = (stamp_ns - self.seen_ns) * 1e-9
        last = self._last_seen
        left = max(0.0, 1 - unseen_s / coast_s) if coast_s > 0 else 0.0
        growth = np.diag(np.repeat([COASTING_SPEED, COASTING_TURN], 3) ** 2) * unseen_s**2
        covariance = None if last.covariance is None else last.covariance + growth
        coasting = replace(
            last, cam_from_obj=cam_from_obj, score=last.score * left, covariance=covariance,
            mask=None, confirmed=False,
        )  # fmt: skip
        self._advance(coasting, stamp_ns)

    def replace_pose(self, pose: PoseEstimate, key: str) -> None:
        """Replace the pose of the newest stamp, and move the history with it.

        Args:
            pose: the better pose.
            key: id under which the tracker stores it.
        """
        back = se3.inverse(self.pose.cam_from_obj)
        correction = back @ pose.cam_from_obj  # in the object's own frame: the camera moved since
        self._history = deque((stamp, old @ correction) for stamp, old in self._history)
        self.pose = self._last_seen = pose
        self.seen_ns, self.key = self.stamp_ns, key

    def at(self, stamp_ns: int) -> Array:
        """Return the pose at an earlier stamp, interpolated; the nearest known one outside.

        Args:
            stamp_ns: the stamp, nanoseconds.

        Returns:
            (4, 4) cam_from_obj.
        """
        stamps = [stamp for stamp, _ in self._history]
        index = bisect_left(stamps, stamp_ns)
        if index == 0:
            return self._history[0][1]
        if index == len(stamps):
            return self._history[-1][1]
        (before, start), (after, end) = self._history[index - 1], self._history[index]
        share = (stamp_ns - before) / (after - before)
        twist = share * se3.difference(end, start, self.centre_obj)
        return se3.moved(start, twist, self.centre_obj)

    def moved_since(self, before: Array) -> tuple[float, float]:
        """Return the difference of the newest pose from another one, in metres and radians.

        Args:
            before: (4, 4) cam_from_obj.
        """
        twist = se3.difference(self.pose.cam_from_obj, before, self.centre_obj)
        return float(np.linalg.norm(twist[:3])), float(np.linalg.norm(twist[3:]))

    def forget(self, before_ns: int) -> None:
        """Drop the history that is older than a stamp.

        Args:
            before_ns: the stamp, nanoseconds.
        """
        while len(self._history) > 1 and self._history[0][0] < before_ns:
            self._history.popleft()

    def _advance(self, pose: PoseEstimate, stamp_ns: int) -> None:
        if stamp_ns == self.stamp_ns:
            self._history.pop()
        self.pose, self.stamp_ns = pose, stamp_ns
        self._history.append((stamp_ns, pose.cam_from_obj))
