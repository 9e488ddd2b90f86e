"""What the geometric stages keep of each object: its views, and the views turned for the search."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.search import TurnedViews, turn_views
from sam6d_ros.stages.geometric.templates import ViewTemplates, build_templates


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
    """Kits by content hash: an object that was seen before costs nothing."""

    def __init__(self) -> None:
        self._kits: dict[str, ObjectKit] = {}

    def kit(self, model: ObjectModel) -> ObjectKit:
        """The kit of one object, made on first use."""
        if model.content_hash not in self._kits:
            arrays = build_templates(model)
            views = ViewTemplates(**{f.name: arrays[f.name] for f in fields(ViewTemplates)})
            self._kits[model.content_hash] = ObjectKit(model, views, turn_views(views))
        return self._kits[model.content_hash]
