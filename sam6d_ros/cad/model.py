"""Onboarded object: data of one CAD model for the stages."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.mesh import box_corners
from sam6d_ros.geometry.raycast import RayScene


@dataclass(frozen=True)
class Symmetries:
    """Rigid motions that map the object onto itself, in the object frame.

    Attributes:
        discrete: (S, 4, 4) float64, the identity first; metres.
        axes: (A, 2, 3) float64, continuous symmetries as (direction, point on the axis).
    """

    discrete: NDArray[np.float64] = field(default_factory=lambda: np.eye(4)[None])
    axes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2, 3)))

    @property
    def is_symmetric(self) -> bool:
        """Whether any motion besides the identity is in the group."""
        return len(self.discrete) > 1 or len(self.axes) > 0


@dataclass(frozen=True, eq=False)  # equal is only the same model: it is a key of what is made of it
class ObjectModel:
    """One CAD model in metres, onboarded.

    Attributes:
        name: class id, unique among the objects.
        vertices: (V, 3) float32 metres, object (CAD) frame.
        faces: (F, 3) int32.
        colors: (V, 3) uint8 RGB, or None for a mesh without colours.
        diameter: largest distance between two vertices, metres.
        obj_from_box: (4, 4) pose of the bounding box (centre, axes) in the object frame.
        box_size: (3,) extents of the box along its axes, metres.
        symmetries: motions under which the object looks the same (colour included): the
            metrics compare up to them.
        shape_symmetries: motions under which its *shape* (nearly) stays the same whatever the
            colour: the estimator tries them all, and the texture decides. A superset.
        content_hash: of mesh, unit, symmetry settings, templates and code version: the cache key.
        source: file the mesh came from.
        unit_note: how the unit was decided, for the log.
        unit: of the file, one of ``units.METRES_PER``.
        is_unit_assumed: whether the unit was decided from the diameter alone.
        templates: folder of SAM-6D's template files (``template_files``), or None: backends that
            compare views render them.
    """

    name: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8] | None
    diameter: float
    obj_from_box: NDArray[np.float64]
    box_size: NDArray[np.float64]
    symmetries: Symmetries
    shape_symmetries: Symmetries
    content_hash: str
    source: Path | None = None
    unit_note: str = ""
    unit: str = "m"
    is_unit_assumed: bool = False
    templates: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone, to travel to another process: what is derived stays here."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def box_corners(self) -> NDArray[np.float64]:
        """The (8, 3) corners of the bounding box, object frame, metres."""
        return box_corners(self.obj_from_box, self.box_size)

    @cached_property
    def scene(self) -> RayScene:
        """The mesh ready for ray casting (built on first use)."""
        return RayScene(self.vertices, self.faces, self.colors)

    @cached_property
    def scene_lab(self) -> NDArray[np.float32]:
        """CIE L*a*b* (V, 3) float32 of the scene's vertex colours."""
        rgb = self.scene.colors[None].astype(np.float32) / 255
        return np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0])
