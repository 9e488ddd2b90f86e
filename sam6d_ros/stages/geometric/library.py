"""What the geometric stages keep of each object: its views, plain and turned."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.templates import (
    TEMPLATE_VERSION,
    ViewTemplates,
    build_templates,
)
from sam6d_ros.stages.geometric.turned import TurnedViews, turn_views


@dataclass(frozen=True)
class ObjectKit:
    """One object, ready to be searched for."""

    model: ObjectModel
    views: ViewTemplates
    turned: TurnedViews

    @property
    def centre(self) -> NDArray[np.float64]:
        """Centre of the bounding box in the object frame, metres."""
        return self.model.obj_from_box[:3, 3]

    @property
    def use_color(self) -> bool:
        """Whether the mesh carries colours to compare."""
        return self.model.colors is not None


class ObjectLibrary:
    """Kits by content hash: an object that was seen before costs nothing.

    Args:
        cache_dir: folder where views are kept across runs, or None.
    """

    def __init__(self, cache_dir: Path | None) -> None:
        self._cache_dir = cache_dir
        self._kits: dict[str, ObjectKit] = {}

    def kit(self, model: ObjectModel) -> ObjectKit:
        """The kit of one object, made on first use."""
        if model.content_hash not in self._kits:
            key = f"views-{TEMPLATE_VERSION}-{model.content_hash}"
            arrays = load_or_build(key, lambda: build_templates(model), self._cache_dir)
            views = ViewTemplates(**{f.name: arrays[f.name] for f in fields(ViewTemplates)})
            self._kits[model.content_hash] = ObjectKit(model, views, turn_views(views))
        return self._kits[model.content_hash]
