"""An object with its views, plain and rotated in the image plane."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.scene import SceneMaps, lightness_only
from sam6d_ros.stages.geometric.templates import (
    TEMPLATE_VERSION,
    ViewTemplates,
    build_templates,
)
from sam6d_ros.stages.geometric.turned import TurnedViews, turn_views
from sam6d_ros.stages.library import BuildContext


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

    def seen_in(self, scene: SceneMaps) -> ObjectKit:
        """Return the kit with the colours that the scene can show: in a grey one, lightness.

        Args:
            scene: maps of the frame.
        """
        if not (scene.is_grey and self.use_color):
            return self
        views, turned = self.views, self.turned
        return replace(
            self,
            views=replace(
                views, lab=lightness_only(views.lab), anchor_lab=lightness_only(views.anchor_lab)
            ),
            turned=replace(
                turned, lab=lightness_only(turned.lab), anchor_lab=lightness_only(turned.anchor_lab)
            ),
        )


@dataclass(frozen=True)
class _Views:
    """Builder of an object's views, which ``ObjectLibrary.derived`` keeps."""

    cache_dir: Path | None

    def __call__(self, model: ObjectModel) -> tuple[ViewTemplates, TurnedViews]:
        key = f"views-{TEMPLATE_VERSION}-{model.content_hash}"
        arrays = load_or_build(key, lambda: build_templates(model), self.cache_dir)
        views = ViewTemplates(**{f.name: arrays[f.name] for f in fields(ViewTemplates)})
        return views, turn_views(views)


def kit_of(model: ObjectModel, context: BuildContext) -> ObjectKit:
    """Return the kit of one object; its views are made on first use in the engine.

    Args:
        model: the object.
        context: cache folder and library of the engine.
    """
    return ObjectKit(model, *context.library.derived(model, _Views(context.cache_dir)))
