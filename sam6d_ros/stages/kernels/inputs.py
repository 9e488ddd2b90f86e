"""Arguments of the compiled loops: named tuples of arrays, camera optical frame, metres.

A loop has at most eight arguments (ruff, PLR0913).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EDGE_DIRECTIONS = 4  # of an edge's normal in the image, 45° apart, the first along the columns


class Pinhole(NamedTuple):
    """Intrinsics in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float


class Maps(NamedTuple):
    """Maps of a scene.

    Attributes:
        depth: (H, W) float32 metres, 0 = no measurement.
        normals: (H, W, 3) float32 unit normals over a wide neighbourhood; 0 where unknown.
        fine_normals: (H, W, 3) float32, likewise over a small neighbourhood.
        lab: (H, W, 3) float32 CIE L*a*b*.
        labels: (H, W) int32 number of the region, 0 = none.
        edges: (EDGE_DIRECTIONS, H, W) float32 in [0, 1], nearness of an edge with this normal.
        any_edge: (H, W) float32, the largest of them.
        steps: (H, W) bool, pixels at a step in depth.
    """

    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    fine_normals: NDArray[np.float32]
    lab: NDArray[np.float32]
    labels: NDArray[np.int32]
    edges: NDArray[np.float32]
    any_edge: NDArray[np.float32]
    steps: NDArray[np.bool_]


class Surface(NamedTuple):
    """Mesh of one object.

    Attributes:
        faces: (F, 3) int32 vertex indices.
        face_normals: (F, 3) float32, object frame, either side.
        lab: (V, 3) float32 CIE L*a*b* of the vertices.
        colored: whether the colours are those of the object.
    """

    faces: NDArray[np.int32]
    face_normals: NDArray[np.float32]
    lab: NDArray[np.float32]
    colored: bool


class Rays(NamedTuple):
    """Renderings of N poses on pixel grids of their own, all cells in one row.

    Attributes:
        grids: (N, 5) float64 of x0, y0, stride in pixels, columns, rows.
        offsets: (N + 1,) int64 index of the first cell of each pose.
        directions: (C, 3) float32 of the rays, object frame; z = 1 in the camera frame.
        face: (C,) int32 index of the triangle, -1 where there is none.
        distance: (C,) float32 metres along the optical axis.
        bary: (C, 2) float32 weights of the triangle's second and third corner.
    """

    grids: NDArray[np.float64]
    offsets: NDArray[np.int64]
    directions: NDArray[np.float32]
    face: NDArray[np.int32]
    distance: NDArray[np.float32]
    bary: NDArray[np.float32]


class Placement(NamedTuple):
    """N poses cam_from_obj.

    Attributes:
        rotation: (N, 3, 3) float64.
        translation: (N, 3) float64 metres.
        loose: (N,) float64 metres, tolerance of sensor, registration and mesh together.
        tight: (N,) float64 metres, tolerance of the sensor alone.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    loose: NDArray[np.float64]
    tight: NDArray[np.float64]


class RgbdMaps(NamedTuple):
    """Maps of a scene that need no edges.

    Attributes:
        depth: (H, W) float32 metres, 0 = no measurement.
        normals: (H, W, 3) float32 unit normals; 0 where unknown.
        lab: (H, W, 3) float32 CIE L*a*b*.
        labels: (H, W) int32 number of the region, 0 = none.
    """

    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    lab: NDArray[np.float32]
    labels: NDArray[np.int32]


class RotatedViews(NamedTuple):
    """V views of an object, each in T rotations about the optical axis; metres, view coordinates.

    The number of a rotated view is view · T + rotation.

    Attributes:
        anchors: (V·T, A, 3) float32 points that are placed on a seed.
        anchor_normals: (V·T, A, 3) float32.
        anchor_lab: (V, A, 3) float32 CIE L*a*b*.
        points: (V·T, P, 3) float32 surface points.
        normals: (V·T, P, 3) float32 of these points.
        offset_contour: (V·T, R, 3) float32 points beside the silhouette.
        lab: (V, P, 3) float32 CIE L*a*b* of the points.
        rough_ids: (C,) int64 rotated views of the first pass.
        near_ids: (C, K) int64 rotated views around each of these.
    """

    anchors: NDArray[np.float32]
    anchor_normals: NDArray[np.float32]
    anchor_lab: NDArray[np.float32]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    offset_contour: NDArray[np.float32]
    lab: NDArray[np.float32]
    rough_ids: NDArray[np.int64]
    near_ids: NDArray[np.int64]


class Views(NamedTuple):
    """V views of an object, object frame, metres.

    Attributes:
        forward: (V, 3) float32 viewing directions.
        points: (V, P, 3) float32 surface points.
        normals: (V, P, 3) float32 of these points.
        lab: (V, P, 3) float32 CIE L*a*b* of these points.
        offset_contour: (V, R, 3) float32 points beside the silhouette.
        centre: (3,) float64 centre of the object.
    """

    forward: NDArray[np.float32]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    lab: NDArray[np.float32]
    offset_contour: NDArray[np.float32]
    centre: NDArray[np.float64]


class Gates(NamedTuple):
    """Largest accepted distance of a match, metres, from the first to the last iteration."""

    first: float
    last: float
    iterations: int


class TrackMaps(NamedTuple):
    """The part of a frame around a track: depth at full size, all else reduced.

    Attributes:
        depth: (H, W) float32 metres, 0 = no measurement.
        depth_camera: its intrinsics.
        normals: (h, w, 3) float32 unit normals; 0 where unknown.
        lab: (h, w, 3) float32 CIE L*a*b*.
        nearest: (h, w) float32 metres, smallest depth around each pixel.
        farthest: (h, w) float32 metres, likewise the largest.
        camera: intrinsics of the reduced maps.
    """

    depth: NDArray[np.float32]
    depth_camera: Pinhole
    normals: NDArray[np.float32]
    lab: NDArray[np.float32]
    nearest: NDArray[np.float32]
    farthest: NDArray[np.float32]
    camera: Pinhole


class VisibleSurface(NamedTuple):
    """Rendered surface of an object, object frame, metres.

    Attributes:
        points: (N, 3) float32 surface points off the silhouette boundary, whose depth is ragged.
        normals: (N, 3) float32 of these points.
        boundary: (M, 3) float32 points on the last pixels of the silhouette.
        outward: (M, 2) float32 unit normals out of the silhouette, in the image.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    boundary: NDArray[np.float32]
    outward: NDArray[np.float32]


class ColorSamples(NamedTuple):
    """Surface points of known colour.

    Attributes:
        points: (K, 3) float32 metres, object frame.
        lab: (K, 3) float32 CIE L*a*b*.
    """

    points: NDArray[np.float32]
    lab: NDArray[np.float32]


class PlacedSamples(NamedTuple):
    """Colour samples in the camera frame.

    Attributes:
        at: (K, 3) float64 metres.
        matched: (K,) bool, samples whose depth agrees.
        lab: (K, 3) float32 CIE L*a*b*.
        seen: (K, 3) float64, colours of the image at the samples.
    """

    at: NDArray[np.float64]
    matched: NDArray[np.bool_]
    lab: NDArray[np.float32]
    seen: NDArray[np.float64]


class MovingPose(NamedTuple):
    """A pose cam_from_obj that iterations change in place.

    Attributes:
        rotation: (3, 3) float64.
        translation: (3,) float64 metres.
        centre: (3,) float64 centre of rotation, metres, object frame.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    centre: NDArray[np.float64]


class Equations(NamedTuple):
    """Normal equations of translation and rotation about the centre, camera axes.

    Attributes:
        information: (6, 6) float64.
        vector: (6,) float64.
        row: (6,) float64 of the Jacobian, written for each residual.
    """

    information: NDArray[np.float64]
    vector: NDArray[np.float64]
    row: NDArray[np.float64]


class TrackWeights(NamedTuple):
    """Weights of the terms of tracking.

    Attributes:
        sigma: standard deviation of the depth, metres.
        boundary: weight of one boundary point relative to one depth match.
        boundary_offset: pixels from the boundary points to the boundary itself.
        color: weight of one colour relative to one depth match.
    """

    sigma: float
    boundary: float
    boundary_offset: float
    color: float
