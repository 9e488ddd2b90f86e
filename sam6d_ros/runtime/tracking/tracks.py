"""Instances followed through time: names that stay, loss, and the merging of full estimates."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import TrackingConfig
from sam6d_ros.errors import own_results
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.tracking.association import distance, nearest_alike, pair_up, without_spin
from sam6d_ros.runtime.tracking.catch_up import catch_up
from sam6d_ros.runtime.tracking.frame_buffer import FrameBuffer
from sam6d_ros.runtime.tracking.motion import coasting_place, common_motion
from sam6d_ros.runtime.tracking.track import USUAL_SHARE, Track
from sam6d_ros.runtime.tracking.track_set import TrackingCounts, TrackSet
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

__all__ = ["TrackFunction", "TrackedObjects", "TrackingCounts"]

TrackFunction = Callable[[Frame, PoseEstimates], PoseEstimates]

_LOG = logging.getLogger(__name__)

TOO_OLD = "an estimate is %.1f s old, frames are kept %.1f s: raise buffer_s (tracking.buffer_s)"
SAME_PLACE = 0.5  # in diameters: an estimate so near to a followed instance means that one
AGREES = 0.02  # in diameters: a full estimate so near to the track corrects nothing
BETTER_BY = 0.05  # in score, for a full estimate to replace the track: it may be wrong itself
EVALUATION_FRAMES = 4  # since the estimate: one alone may not show the difference
# Frames through which tentative tracks are followed, at their start and with each step: the present
# must not wait for the past.
AT_ONCE, PER_STEP = 12, 4
HISTORY_SLACK_S = 2.0  # kept beyond the oldest frame that may be corrected


class TrackedObjects:
    """All instances that are followed; methods may be called from several threads.

    ``step`` and ``correct`` raise ``InvariantError`` if a pose is invalid.

    Args:
        track: brings predicted poses onto a frame (``Engine.track``). The id of an instance
            changes when its pose jumps, which drops what was learnt at the wrong pose.
        objects: the models that are loaded now, by name.
        config: settings.
        key_prefix: begin of the ids that ``track`` is given, for several that share a tracker.
    """

    def __init__(
        self,
        track: TrackFunction,
        objects: Callable[[], Mapping[str, ObjectModel]],
        config: TrackingConfig,
        key_prefix: str = "",
    ) -> None:
        self._track, self._objects = track, objects
        self._key_prefix = key_prefix
        self._lock = threading.RLock()
        self._tracks = TrackSet(config)
        self._ids = itertools.count(1)
        self._tentative: deque[tuple[ObjectModel, Generator[None, None, None]]] = deque()
        self._buffer = FrameBuffer(config.buffer_s, config.buffer_hz)
        self._latest: Frame | None = None

    @property
    def counts(self) -> TrackingCounts:
        """Numbers for diagnostics."""
        with self._lock:
            return self._tracks.counts

    def configure(self, config: TrackingConfig) -> None:
        """Replace the settings except those of the buffer.

        Args:
            config: the new settings.
        """
        with self._lock:
            self._tracks.config = config

    def reset(self) -> None:
        """Remove every instance and frame; names are not used again."""
        with self._lock:
            self._tracks.clear()
            self._tentative.clear()
            self._buffer.clear()
            self._latest = None

    def step(
        self,
        frame: Frame,
        estimates: PoseEstimates | None = None,
        searched: Collection[str] | None = None,
    ) -> PoseEstimates:
        """Follow all instances into this frame.

        A frame older than the last one (a bag that starts again) resets everything.

        Args:
            frame: the newest frame.
            estimates: for ``correct``, before the result is read.
            searched: for ``correct``.

        Returns:
            All live instances, best first, ``instance_id`` constant per physical object. One that
            this frame does not confirm coasts for ``coast_s``, with a falling score, a growing
            covariance and ``confirmed`` false.
        """
        with self._lock, own_results("tracking"):
            if self._latest is not None and frame.stamp_ns < self._latest.stamp_ns:
                _LOG.warning("the stamp decreased; dropped %d tracks", len(self._tracks.live))
                self.reset()
            self._drop_removed_objects()
            self._follow(frame)
            self._tracks.retire(frame.stamp_ns)
            self._latest = frame
            self._buffer.add(frame)
            if estimates is not None:
                self.correct(estimates, searched)
            self._advance_tentative(PER_STEP)
            poses = sorted((t.pose for t in self._tracks.live.values()), key=lambda p: -p.score)
            reason = "" if poses else "no instance is followed"
            return PoseEstimates(tuple(poses), frame.stamp_ns, frame.frame_id, reason)

    def correct(self, estimates: PoseEstimates, searched: Collection[str] | None = None) -> None:
        """Correct the tracks by the full estimate of all objects in an earlier frame.

        Each pose is given to the instance that was there at that time; a better pose replaces a
        drifted one, new instances are followed from that frame to the newest one. An estimate
        that is older than ``buffer_s``, or of before the first frame, is left out.

        Args:
            estimates: all poses of that frame.
            searched: objects that were searched (default: all); others cannot be missed.
        """
        with self._lock, own_results("tracking"):
            if self._latest is None:
                _LOG.info("dropped an estimate that came before the first frame")
                return
            age_s = (self._latest.stamp_ns - estimates.stamp_ns) * 1e-9
            if age_s > self._tracks.config.buffer_s:
                _LOG.warning(TOO_OLD, age_s, self._tracks.config.buffer_s)
                return
            stamp_ns = min(estimates.stamp_ns, self._latest.stamp_ns)
            self._drop_removed_objects()
            for model in self._objects().values():
                found = [pose for pose in estimates.items if pose.class_id == model.name]
                missed = self._correct_class(model, found, stamp_ns)
                counts = len(estimates) and (searched is None or model.name in searched)
                for track in missed if counts else ():
                    self._tracks.miss(track)
            self._advance_tentative(AT_ONCE)

    def _drop_removed_objects(self) -> None:
        """Remove the instances of objects that are not registered, or have changed."""
        models = self._objects()
        self._tracks.keep_only(models)
        current = {model.content_hash for model in models.values()}
        self._tentative = deque(e for e in self._tentative if e[0].content_hash in current)

    def _follow(self, frame: Frame) -> None:
        """Follow every live track onto the frame; predict the lost ones."""
        now_ns = frame.stamp_ns
        before_ns = self._latest.stamp_ns if self._latest else now_ns
        live = list(self._tracks.live.values())
        uncertain = [track for track in live if track.has_uncertain_rotation]
        firm = self._confirm(frame, [(t, t.moved_on(now_ns)) for t in live if t not in uncertain])
        moved = [(t, common_motion(firm, before_ns, now_ns, t.centre_cam)) for t in uncertain]
        self._confirm(frame, [(track, track.moved_on(now_ns, common)) for track, common in moved])
        config = self._tracks.config
        for track in (*live, *self._tracks.lost.values()):
            if track.stamp_ns != now_ns:
                track.coast(coasting_place(track, firm, before_ns, now_ns), now_ns, config.coast_s)
            track.forget(now_ns - round(1e9 * (config.buffer_s + HISTORY_SLACK_S)))

    def _confirm(
        self,
        frame: Frame,
        predicted: Sequence[tuple[Track, PoseEstimate]],
        share: float = USUAL_SHARE,
    ) -> list[Track]:
        """Follow some tracks onto the frame; return those with enough of their usual score."""
        found = self._found(frame, {track.key: pose for track, pose in predicted})
        seen = [pair for pair in predicted if pair[0].accepts(found.get(pair[0].key), share)]
        for track, guess in seen:
            pose = without_spin(track, found[track.key], guess.cam_from_obj)
            track.confirm(pose, frame.stamp_ns)
        return [track for track, _ in seen]

    def _found(self, frame: Frame, guesses: Mapping[str, PoseEstimate]) -> dict[str, PoseEstimate]:
        """Return the accepted poses of the tracker for the guesses, by its ids."""
        if not guesses:
            return {}
        items = tuple(replace(pose, instance_id=key) for key, pose in guesses.items())
        poses = self._track(frame, PoseEstimates(items, frame.stamp_ns, frame.frame_id))
        return {
            pose.instance_id: replace(
                pose, instance_id=guesses[pose.instance_id].instance_id, confirmed=True
            )
            for pose in poses.items
            if pose.score >= self._tracks.config.confirm_score
        }

    def _correct_class(
        self, model: ObjectModel, found: Sequence[PoseEstimate], stamp_ns: int
    ) -> list[Track]:
        """Associate the estimates of one class, then check, re-identify or start tracks.

        Returns:
            The live instances that are not among the estimates.
        """
        live = [t for t in self._tracks.live.values() if t.model.name == model.name]
        lost = [t for t in self._tracks.lost.values() if t.model.name == model.name]
        matched, found = pair_up(live, found, stamp_ns, SAME_PLACE)
        again, found = pair_up(lost, found, stamp_ns, self._tracks.config.reidentify_radius)
        for track, pose in matched:
            track.missed = 0
            self._check(track, pose, stamp_ns)
        for track, pose in again:
            pose = nearest_alike(model, pose, track.at(stamp_ns))
            self._tentative.append((model, self._follow_new(model, pose, stamp_ns, track.name)))
        for pose in found:
            self._tentative.append((model, self._follow_new(model, pose, stamp_ns)))
        return [track for track in live if all(track is not other for other, _ in matched)]

    def _check(self, track: Track, pose: PoseEstimate, stamp_ns: int) -> None:
        """Let the full estimate replace the track where it explains the newest frame better."""
        then = track.at(stamp_ns)
        pose = nearest_alike(track.model, pose, then)
        if not track.is_seen:
            tentative = self._follow_new(track.model, pose, stamp_ns, track.name)
            self._tentative.append((track.model, tentative))
            return
        if distance(track.model, pose.cam_from_obj, then) < AGREES:
            return
        change = se3.inverse(then) @ pose.cam_from_obj  # in the object's frame: the camera moved
        kept = self._frames_from(stamp_ns)[::-1]
        evaluated = kept[:: max(1, len(kept) // EVALUATION_FRAMES)]  # the newest one first
        compared = [self._compare(track, change, frame) for frame in evaluated]
        gain = sum(rival.score - own.score for own, rival in compared) / len(compared)
        newest = compared[0][1]
        if gain > BETTER_BY and newest.score > 0:
            track.replace_pose(replace(newest, instance_id=track.name), newest.instance_id)
            self._tracks.correct(track)

    def _compare(
        self, track: Track, change: NDArray[np.float64], frame: Frame
    ) -> tuple[PoseEstimate, PoseEstimate]:
        """Fit the poses of track and estimate to a frame; a score of 0 if not confirmed."""
        # Under new keys: colours that the track has learnt would favour its own pose.
        own = replace(track.pose, cam_from_obj=track.at(frame.stamp_ns), score=0.0)
        rival = replace(own, cam_from_obj=own.cam_from_obj @ change)
        guesses = {self._new_key(track.name): own, self._new_key(track.name): rival}
        found = self._found(frame, guesses)
        first, second = (
            replace(found.get(key, guess), instance_id=key) for key, guess in guesses.items()
        )
        return first, second

    def _follow_new(
        self, model: ObjectModel, pose: PoseEstimate, stamp_ns: int, name: str = "", tries: int = 2
    ) -> Generator[None, None, None]:
        """Follow a new or re-identified instance from an earlier frame to the newest."""
        own_name = name or self._tracks.next_name(model)
        start_ns = min([stamp_ns, *(f.stamp_ns for f in self._buffer.around(stamp_ns)[:1])])
        track = Track(
            own_name, self._new_key(own_name), model, replace(pose, instance_id=own_name), start_ns
        )
        caught = yield from catch_up(
            track, self._frames_from, self._confirm, self._tracks.seen, self._tracks.config.coast_s
        )
        if caught:
            self._tracks.start(track)
        elif tries > 1:  # again after the others: their motion may then show that of the camera
            again = self._follow_new(model, pose, stamp_ns, name, tries - 1)
            self._tentative.append((model, again))

    def _frames_from(self, stamp_ns: int) -> list[Frame]:
        """Return the buffered frames from a stamp on, and the newest frame."""
        assert self._latest is not None  # correct() has seen to it
        return self._buffer.since(stamp_ns, self._latest)

    def _advance_tentative(self, frames: int) -> None:
        """Follow tentative tracks through so many frames, one after the other."""
        while self._tentative and frames > 0:
            try:
                next(self._tentative[0][1])
                frames -= 1
            except StopIteration:
                self._tentative.popleft()

    def _new_key(self, name: str) -> str:
        return f"{self._key_prefix}{name}~{next(self._ids)}"
