"""The instances that are followed and those that were lost, with their names and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import TrackingConfig
from sam6d_ros.runtime.tracking.track import Track

OVERLAP = 0.3  # in diameters of the smaller one: two bodies cannot be so near
PLAIN_VIEW = 0.5  # visible share from which a full estimate should find the instance


@dataclass(frozen=True)
class TrackingCounts:
    """Counts of tracks by their fate.

    Attributes:
        tracked: instances that the last frame confirmed.
        coasting: instances that are kept though the last frame did not confirm them.
        started, lost, redetected, corrected: how often since the start.
    """

    tracked: int = 0
    coasting: int = 0
    started: int = 0
    lost: int = 0
    redetected: int = 0
    corrected: int = 0


class TrackSet:
    """Names belong to physical objects: none is used twice.

    Attributes:
        live: followed or coasting, by name.
        lost: kept for re-identification, by name.
        config: settings.
    """

    def __init__(self, config: TrackingConfig) -> None:
        self.config = config
        self.live: dict[str, Track] = {}
        self.lost: dict[str, Track] = {}
        self._numbers: dict[str, int] = {}
        self._counts = TrackingCounts()

    @property
    def counts(self) -> TrackingCounts:
        """Numbers for diagnostics."""
        seen = len(self.seen())
        return replace(self._counts, tracked=seen, coasting=len(self.live) - seen)

    def seen(self) -> list[Track]:
        """Return the instances that the last frame confirmed."""
        return [track for track in self.live.values() if track.is_seen]

    def clear(self) -> None:
        """Drop all instances, but not which names were used."""
        self.live.clear()
        self.lost.clear()

    def next_name(self, model: ObjectModel) -> str:
        """Return the name of the next instance of an object.

        Args:
            model: the object.
        """
        return f"{model.name}_{self._numbers.get(model.name, 0) + 1}"

    def start(self, track: Track) -> None:
        """Follow a new or re-identified instance, if its place is free.

        Args:
            track: the instance.
        """
        live = self.live.get(track.name)
        if live is not None:
            if not live.is_seen:
                self.correct(track)
            return
        if not self._makes_room_for(track):
            return
        if track.name in self.lost:
            del self.lost[track.name]
            self._add(redetected=1)
        else:
            self._numbers[track.model.name] = self._numbers.get(track.model.name, 0) + 1
            self._add(started=1)
        self.live[track.name] = track

    def correct(self, track: Track) -> None:
        """Replace a followed instance by its correction.

        Args:
            track: the corrected instance.
        """
        self.live[track.name] = track
        self._add(corrected=1)

    def lose(self, track: Track) -> None:
        """Stop to follow an instance; keep it for re-identification.

        Args:
            track: the instance.
        """
        self.lost[track.name] = self.live.pop(track.name)
        self._add(lost=1)

    def miss(self, track: Track) -> None:
        """Record that a full estimate does not contain an instance; lose it after several in plain
        view.

        Args:
            track: the instance.
        """
        if track.is_seen and track.pose.visible > PLAIN_VIEW:
            track.missed += 1
            if 0 < self.config.max_missed <= track.missed:
                self.lose(track)

    def retire(self, stamp_ns: int) -> None:
        """Lose instances not seen for too long; remove those that were lost long ago.

        Args:
            stamp_ns: of the newest frame, nanoseconds.
        """
        for track in list(self.live.values()):
            if track.unseen_s(stamp_ns) > self.config.coast_s:
                self.lose(track)
        for track in list(self.lost.values()):
            if track.unseen_s(stamp_ns) > self.config.coast_s + self.config.reidentify_s:
                del self.lost[track.name]

    def keep_only(self, models: Mapping[str, ObjectModel]) -> None:
        """Remove the instances of objects that are not registered, or have changed.

        Args:
            models: objects by class id.
        """
        for tracks in (self.live, self.lost):
            for track in list(tracks.values()):
                model = models.get(track.model.name)
                if model is None or model.content_hash != track.model.content_hash:
                    del tracks[track.name]

    def _makes_room_for(self, track: Track) -> bool:
        """Whether the place is free; a worse instance of another object there is lost."""
        for other in list(self.live.values()):
            smaller = min(track.model.diameter, other.model.diameter)
            if np.linalg.norm(track.centre_cam - other.centre_cam) >= OVERLAP * smaller:
                continue
            if other.pose.score >= track.pose.score or other.model.name == track.model.name:
                return False
            self.lose(other)
        return True

    def _add(self, **more: int) -> None:
        now = {name: getattr(self._counts, name) + count for name, count in more.items()}
        self._counts = replace(self._counts, **now)
