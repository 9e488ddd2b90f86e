"""What the geometric stages keep of each object: its views, plain and turned."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from weakref import WeakKeyDictionary

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
    """Views of objects, kept as long as the model itself: what is removed is forgotten.

    Args:
        cache_dir: folder where views are kept across runs, or None.
    """

    def __init__(self, cache_dir: Path | None) -> None:
        self._cache_dir = cache_dir
        self._views: WeakKeyDictionary[ObjectModel, tuple[ViewTemplates, TurnedViews]]
        self._views = WeakKeyDictionary()

    def kit(self, model: ObjectModel) -> ObjectKit:
        """The kit of one object, made on first use."""
        if model not in self._views:
            key = f"views-{TEMPLATE_VERSION}-{model.content_hash}"
            arrays = load_or_build(key, lambda: build_templates(model), self._cache_dir)
            views = ViewTemplates(**{f.name: arrays[f.name] for f in fields(ViewTemplates)})
            self._views[model] = (views, turn_views(views))
        return ObjectKit(model, *self._views[model])
