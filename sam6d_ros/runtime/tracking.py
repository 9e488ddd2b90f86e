"""Instances followed through time: names that stay, loss, and the merging of full estimates."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import TrackingConfig
from sam6d_ros.runtime.frame_buffer import FrameBuffer
from sam6d_ros.runtime.track_association import (
    assign,
    distance,
    nearest_equivalent,
)
from sam6d_ros.runtime.track_catchup import TrackFunction, catch_up
from sam6d_ros.runtime.track_motion import common_motion
from sam6d_ros.runtime.track_state import Track
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

_LOG = logging.getLogger(__name__)


SAME_PLACE = 0.5  # in diameters: an estimate so near to a followed instance means that one
UNSEEN_SPEED = 0.1  # m/s by which the place of an instance that is not seen widens
AGREES = 0.02  # in diameters: a full estimate so near to the track corrects nothing
BETTER_BY = 0.02  # in score, for a full estimate to replace the track
OVERLAP = 0.3  # in diameters of the smaller one: two bodies cannot be so near
PLAIN_VIEW = 0.5  # visible share from which a full estimate should find the instance
HISTORY_SLACK_S = 2.0  # kept beyond the oldest frame that may be corrected


@dataclass(frozen=True)
class TrackingCounts:
    """What became of the instances.

    Attributes:
        tracked: instances that the last frame confirmed.
        held: instances that are kept though the last frame did not confirm them.
        started, lost, redetected, corrected: how often since the start.
    """

    tracked: int = 0
    held: int = 0
    started: int = 0
    lost: int = 0
    redetected: int = 0
    corrected: int = 0


class TrackedObjects:
    """All instances that are followed; safe to call from several threads (calls queue up).

    Args:
        track: brings predicted poses onto a frame (``Engine.track``).
        objects: the models that are loaded now, by name.
        config: settings.
    """

    def __init__(
        self,
        track: TrackFunction,
        objects: Callable[[], Mapping[str, ObjectModel]],
        config: TrackingConfig,
    ) -> None:
        self._track, self._objects, self._config = track, objects, config
        self._lock = threading.RLock()
        self._live: dict[str, Track] = {}
        self._lost: dict[str, Track] = {}
        self._numbers: dict[str, int] = {}
        self._buffer = FrameBuffer(config.buffer_s, config.buffer_hz)
        self._latest: Frame | None = None
        self._counts = TrackingCounts()

    @property
    def counts(self) -> TrackingCounts:
        """Numbers for diagnostics."""
        with self._lock:
            seen = sum(track.is_seen for track in self._live.values())
            return replace(self._counts, tracked=seen, held=len(self._live) - seen)

    def reset(self) -> None:
        """Forget every instance and frame; names are not used again."""
        with self._lock:
            self._live.clear()
            self._lost.clear()
            self._buffer.clear()
            self._latest = None

    def step(self, frame: Frame) -> PoseEstimates:
        """Follow all instances into this frame.

        A frame older than the last one (a bag that starts again) resets everything.

        Returns:
            All live instances, best first, ``instance_id`` constant per physical object. One that
            this frame does not confirm is held for ``hold_s``, with a falling score, a growing
            covariance and ``score_parts["seen"]`` 0.
        """
        with self._lock:
            if self._latest is not None and frame.stamp_ns < self._latest.stamp_ns:
                _LOG.warning("time went back: all %d tracks are dropped", len(self._live))
                self.reset()
            self._drop_unknown_classes()
            self._follow(frame)
            self._retire(frame.stamp_ns)
            self._latest = frame
            self._buffer.add(frame)
            poses = sorted((track.pose for track in self._live.values()), key=lambda p: -p.score)
            reason = "" if poses else "no instance is followed"
            return PoseEstimates(tuple(poses), frame.stamp_ns, frame.frame_id, reason)

    def correct(self, estimates: PoseEstimates) -> None:
        """Take in the full estimate of an earlier frame.

        Each pose is given to the instance that was there at that time; a better pose replaces a
        drifted one, new instances are followed from that frame to the newest one.
        """
        with self._lock:
            if self._latest is None:
                _LOG.info("an estimate came before the first frame: it cannot be followed")
                return
            stamp_ns = min(estimates.stamp_ns, self._latest.stamp_ns)
            for model in self._objects().values():
                found = [pose for pose in estimates.items if pose.class_id == model.name]
                self._correct_class(model, found, stamp_ns, counts_misses=len(estimates) > 0)

    def _follow(self, frame: Frame) -> None:
        """Every live track onto the frame; lost ones are moved on only."""
        before_ns = self._latest.stamp_ns if self._latest else frame.stamp_ns
        found = self._confirmed(
            frame, [t.moved_on(frame.stamp_ns) for t in self._live.values() if not t.is_loose]
        )
        for name, pose in found.items():
            self._live[name].confirm(pose, frame.stamp_ns)
        firm = [self._live[name] for name in found]

        def common(track: Track) -> NDArray[np.float64] | None:
            return common_motion(firm, before_ns, frame.stamp_ns, track.centre_cam)

        loose = [t for t in self._live.values() if t.is_loose and t.name not in found]
        for name, pose in self._confirmed(
            frame, [t.moved_on(frame.stamp_ns, common(t)) for t in loose]
        ).items():
            self._live[name].confirm(pose, frame.stamp_ns)
        for track in (*self._live.values(), *self._lost.values()):
            if track.stamp_ns != frame.stamp_ns:
                place = self._held_place(track, firm, before_ns, frame.stamp_ns)
                track.hold(place, frame.stamp_ns, self._config.hold_s)
            oldest_s = self._config.buffer_s + HISTORY_SLACK_S
            track.forget(frame.stamp_ns - round(1e9 * oldest_s))

    def _held_place(
        self, track: Track, firm: Sequence[Track], before_ns: int, stamp_ns: int
    ) -> NDArray[np.float64]:
        """Where an unseen instance is, if it moved as the others did since it was seen."""
        seen = track.last_seen.cam_from_obj
        since_seen = common_motion(firm, track.seen_ns, stamp_ns, seen[:3, 3])
        if since_seen is not None:
            return since_seen @ seen
        last_step = common_motion(firm, before_ns, stamp_ns, track.centre_cam)
        if last_step is not None:
            return last_step @ track.pose.cam_from_obj
        return track.predicted(stamp_ns)

    def _confirmed(
        self, frame: Frame, predicted: Sequence[PoseEstimate]
    ) -> dict[str, PoseEstimate]:
        """By name, the poses that the frame shows well enough."""
        if not predicted:
            return {}
        poses = PoseEstimates(tuple(predicted), frame.stamp_ns, frame.frame_id)
        return {
            pose.instance_id: replace(pose, score_parts={**pose.score_parts, "seen": 1.0})
            for pose in self._track(frame, poses).items
            if pose.score >= self._least_score(pose.instance_id)
        }

    def _least_score(self, name: str) -> float:
        known = self._live.get(name)
        return max(self._config.min_score, known.least_score if known else 0.0)

    def _retire(self, stamp_ns: int) -> None:
        """Lose what was not seen for too long; forget what was lost long ago."""
        for track in list(self._live.values()):
            if track.unseen_s(stamp_ns) > self._config.hold_s:
                self._lose(track)
        for track in list(self._lost.values()):
            if track.unseen_s(stamp_ns) > self._config.hold_s + self._config.remember_s:
                del self._lost[track.name]

    def _lose(self, track: Track) -> None:
        self._lost[track.name] = self._live.pop(track.name)
        self._add(lost=1)

    def _drop_unknown_classes(self) -> None:
        """Forget the instances of objects that are not loaded any more."""
        models = self._objects()
        for tracks in (self._live, self._lost):
            for track in list(tracks.values()):
                model = models.get(track.model.name)
                if model is None or model.content_hash != track.model.content_hash:
                    del tracks[track.name]

    def _correct_class(
        self,
        model: ObjectModel,
        found: Sequence[PoseEstimate],
        stamp_ns: int,
        counts_misses: bool,
    ) -> None:
        """Associate the estimates of one class, then check, find again or start."""
        live = [track for track in self._live.values() if track.model.name == model.name]
        lost = [track for track in self._lost.values() if track.model.name == model.name]
        matched, found = self._assigned(live, found, stamp_ns)
        again, found = self._assigned(lost, found, stamp_ns)
        for track, pose in matched:
            track.missed = 0
            self._check(track, pose, stamp_ns)
        for track in live:
            if counts_misses and all(track is not other for other, _ in matched):
                self._miss(track)
        for track, pose in again:
            if self._start(model, pose, stamp_ns, track.name):
                del self._lost[track.name]
        for pose in found:
            self._start(model, pose, stamp_ns)

    def _assigned(
        self, tracks: Sequence[Track], found: Sequence[PoseEstimate], stamp_ns: int
    ) -> tuple[list[tuple[Track, PoseEstimate]], list[PoseEstimate]]:
        """Pairs of tracks and estimates, and the estimates that are left."""
        if not tracks or not found:
            return [], list(found)
        pairs = assign(
            tracks[0].model,
            [track.at(stamp_ns) for track in tracks],
            [pose.cam_from_obj for pose in found],
            [self._gate_m(track, stamp_ns) for track in tracks],
        )
        taken = {j for _, j in pairs}
        left = [pose for j, pose in enumerate(found) if j not in taken]
        return [(tracks[i], found[j]) for i, j in pairs], left

    def _gate_m(self, track: Track, stamp_ns: int) -> float:
        """How far from its known place an instance may be found."""
        share = self._config.remember_radius if track.name in self._lost else SAME_PLACE
        return share * track.model.diameter + UNSEEN_SPEED * track.unseen_s(stamp_ns)

    def _check(self, track: Track, pose: PoseEstimate, stamp_ns: int) -> None:
        """Let the full estimate replace the track where it explains the newest frame better."""
        then = track.at(stamp_ns)
        alike = nearest_equivalent(track.model, pose.cam_from_obj, then)
        if track.is_seen and distance(track.model, alike, then) < AGREES:
            return
        pose = replace(pose, cam_from_obj=alike)
        if not track.is_seen:
            again = self._caught_up(track.model, pose, stamp_ns, track.name)
            if again is not None:
                self._live[track.name] = again
                self._add(corrected=1)
            return
        moved_on = track.pose.cam_from_obj @ np.linalg.inv(then) @ alike
        rivals = [track.pose, replace(pose, cam_from_obj=moved_on, instance_id="rival")]
        assert self._latest is not None  # correct() has seen to it
        best = self._confirmed(self._latest, rivals)
        rival, own = best.get("rival"), best.get(track.name)
        if rival is not None and (own is None or rival.score > own.score + BETTER_BY):
            track.replace_pose(replace(rival, instance_id=track.name))
            self._add(corrected=1)

    def _start(self, model: ObjectModel, pose: PoseEstimate, stamp_ns: int, name: str = "") -> bool:
        """Follow a new instance, or one found again, from an earlier frame to the newest."""
        track = self._caught_up(model, pose, stamp_ns, name or self._next_name(model))
        if track is None or not self._makes_room_for(track):
            return False
        self._live[track.name] = track
        if name:
            self._add(redetected=1)
        else:
            self._numbers[model.name] = self._numbers.get(model.name, 0) + 1
            self._add(started=1)
        return True

    def _next_name(self, model: ObjectModel) -> str:
        return f"{model.name}_{self._numbers.get(model.name, 0) + 1}"

    def _caught_up(
        self, model: ObjectModel, pose: PoseEstimate, stamp_ns: int, name: str
    ) -> Track | None:
        """A track of the estimate, followed to the newest frame; None when it gets lost."""
        assert self._latest is not None  # correct() has seen to it
        track = Track(name, model, replace(pose, instance_id=name), stamp_ns)

        def follow(frame: Frame, expected: NDArray[np.float64]) -> bool:
            found = self._confirmed(frame, [replace(track.pose, cam_from_obj=expected)])
            if name in found:
                track.confirm(found[name], frame.stamp_ns)
            else:
                track.hold(expected, frame.stamp_ns, self._config.hold_s)
            return name in found

        between = self._buffer.since(stamp_ns)
        frames = [frame for frame in between if frame.stamp_ns < self._latest.stamp_ns]
        seen = [other for other in self._live.values() if other.is_seen]
        return track if catch_up(track, [*frames, self._latest], follow, seen) else None

    def _makes_room_for(self, track: Track) -> bool:
        """Whether the place is free; a worse instance that stands there is lost."""
        for other in list(self._live.values()):
            smaller = min(track.model.diameter, other.model.diameter)
            apart = np.linalg.norm(track.centre_cam - other.centre_cam)
            if other.name == track.name or apart >= OVERLAP * smaller:
                continue
            if other.pose.score >= track.pose.score or other.model.name == track.model.name:
                return False
            self._lose(other)
        return True

    def _miss(self, track: Track) -> None:
        """A full estimate does not contain an instance that is in plain view."""
        if track.is_seen and track.pose.score_parts.get("visible", 1.0) > PLAIN_VIEW:
            track.missed += 1
            if 0 < self._config.max_missed <= track.missed:
                self._lose(track)

    def _add(self, **more: int) -> None:
        now = {name: getattr(self._counts, name) + count for name, count in more.items()}
        self._counts = replace(self._counts, **now)
