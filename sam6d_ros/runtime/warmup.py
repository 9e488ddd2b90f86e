"""A small synthetic frame that takes every stage through its usual path once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sam6d_ros.cad.model import ObjectModel, Symmetries
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, ray_directions
from sam6d_ros.geometry.mesh import unit_box
from sam6d_ros.geometry.region import Region
from sam6d_ros.stages.areas import Area, SearchAreas
from sam6d_ros.stages.protocols import (
    Estimator,
    Proposer,
    ProposesInBoxes,
    Scorer,
    WarmsInBatches,
)
from sam6d_ros.types import (
    Detection,
    Detections,
    Frame,
    PoseEstimate,
    PoseEstimates,
    Proposals,
    Scene,
)

Report = Callable[[str], None]
CAMERA = CameraIntrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)
# Table seen from above at about 45°, behind and below the object.
TABLE_NORMAL = np.array([0.0, -0.7071, -0.7071])
# Box corners in the order of the bits of their index, and two triangles per side.
SIDES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def warm_up_input(model: ObjectModel | None) -> tuple[ObjectModel, Frame, Detections]:
    """Return an object, a frame showing it on a table, and its detection.

    Args:
        model: the object; None for a box.

    Returns:
        The object, the frame and the detection with its true pose.
    """
    model = model or box_model()
    cam_from_obj = se3.exp([0, 0, 3.0 * model.diameter, 0.7, 0.4, 0.2])
    seen = model.scene.render(CAMERA, cam_from_obj)
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    rays = ray_directions(CAMERA, u, v)
    # the plane touches the object's sphere from behind; above the horizon there is nothing
    point = cam_from_obj[:3, 3] - 0.4 * model.diameter * TABLE_NORMAL
    along = rays @ TABLE_NORMAL
    table = np.where(along < -0.1, (point @ TABLE_NORMAL) / np.minimum(along, -0.1), 0)
    depth = np.where(seen.mask, seen.depth, table).astype(np.float32)
    rgb = np.where(seen.mask[..., None], seen.rgb, 90).astype(np.uint8)
    detection = Detection(model.name, 1.0, seen.mask, pose_hints=cam_from_obj[None])
    return model, Frame(rgb, depth, CAMERA), Detections((detection,))


def warm_up_poses(frame: Frame, detections: Detections) -> PoseEstimates:
    """Return the true poses of the detections, to warm up tracking.

    Args:
        frame: of :func:`warm_up_input`.
        detections: of :func:`warm_up_input`.
    """
    items = tuple(
        PoseEstimate(found.class_id, 1.0, found.pose_hints[0], instance_id=f"{found.class_id}_1")
        for found in detections.items
    )
    return PoseEstimates(items, frame.stamp_ns, frame.frame_id)


def warm_up_proposer(proposer: Proposer, scene: Scene, model: ObjectModel, report: Report) -> None:
    """Propose in as many boxes at once as the proposer needs for its warm-up.

    Args:
        proposer: runs once for each size of a batch that it names.
        scene: of the frame of :func:`warm_up_input`.
        model: the object.
        report: called with each size.
    """
    if not isinstance(proposer, WarmsInBatches) or not isinstance(proposer, ProposesInBoxes):
        return
    for count in proposer.warm_up_sizes:
        report(f"warming up: {count} boxes at once")
        regions = (Region(10 + n % 8, 10 + n // 8, 60, 50) for n in range(count))
        areas = tuple(Area(region, frozenset({model.name})) for region in regions)
        proposer.propose_in_boxes(scene, SearchAreas(areas, frozenset()))


def warm_up_scorer(
    scorer: Scorer, scene: Scene, detections: Detections, model: ObjectModel, report: Report
) -> None:
    """Score as many regions at once as the scorer needs for its warm-up.

    Args:
        scorer: runs once for each size of a batch that it names.
        scene: of the frame of :func:`warm_up_input`.
        detections: of the same.
        model: the object.
        report: called with each size.
    """
    for count in scorer.warm_up_sizes if isinstance(scorer, WarmsInBatches) else ():
        report(f"warming up: {count} regions at once")
        masks = np.repeat(detections.items[0].mask[None], count, axis=0)
        scorer.score(scene, Proposals(masks, np.ones(count, np.float32)), [model], {model.name: 1})


def warm_up_estimator(
    estimator: Estimator, scene: Scene, detections: Detections, model: ObjectModel, report: Report
) -> None:
    """Estimate as many poses at once as the estimator needs for its warm-up.

    Args:
        estimator: runs once for each size of a batch that it names.
        scene: of the frame of :func:`warm_up_input`.
        detections: of the same.
        model: the object.
        report: called with each size.
    """
    (one,) = detections.items
    for count in estimator.warm_up_sizes if isinstance(estimator, WarmsInBatches) else ():
        report(f"warming up: {count} detections at once")
        items = tuple(Detection(one.class_id, 1.0, one.mask) for _ in range(count))
        estimator.estimate(scene, Detections(items), [model])


def box_model(size: tuple[float, float, float] = (0.08, 0.12, 0.16)) -> ObjectModel:
    """Return a plain coloured box that was not onboarded.

    Args:
        size: extents, metres.
    """
    corners = unit_box() * np.asarray(size)
    faces = [face for a, b, c, d in SIDES for face in ((a, b, c), (a, c, d))]
    none = Symmetries()
    return ObjectModel(
        name="warm_up_box",
        vertices=corners.astype(np.float32),
        faces=np.asarray(faces, np.int32),
        colors=np.linspace(40, 220, 24).reshape(8, 3).astype(np.uint8),
        diameter=float(np.linalg.norm(size)),
        obj_from_box=np.eye(4),
        box_size=np.asarray(size, np.float64),
        symmetries=none,
        shape_symmetries=none,
        content_hash=f"warm_up_box-{size}",  # what is kept of one size must not serve another
    )
