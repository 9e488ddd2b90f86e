"""Grasps of objects on request: sampled once per object, kept by content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.grasps.gripper import Gripper, SamplingConfig
from sam6d_ros.grasps.plan import sample_grasps
from sam6d_ros.grasps.types import GraspSet

MOST = 128  # sets that stay in memory


class Grasps:
    """Grasps of the objects of requests, for a parallel gripper with the default measures.

    Args:
        cache_dir: folder of sampled grasps, or None.
    """

    def __init__(self, cache_dir: Path | None) -> None:
        self._cache_dir = cache_dir
        self._gripper, self._sampling = Gripper(), SamplingConfig()
        self._kept: dict[str, GraspSet] = {}

    def of(self, models: Mapping[str, ObjectModel], names: Iterable[str]) -> dict[str, GraspSet]:
        """Return the grasps of the named objects."""
        return {name: self._of(models[name]) for name in names}

    def _of(self, model: ObjectModel) -> GraspSet:
        found = self._kept.get(model.content_hash)
        if found is None:
            found = sample_grasps(model, self._gripper, self._sampling, self._cache_dir)
            while len(self._kept) >= MOST:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[model.content_hash] = found
        return found
