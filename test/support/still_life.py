"""Objects with known looks, and frames of them standing on a table, rendered without noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trimesh
from numpy.typing import NDArray
from support.meshes import fine, l_shape

from sam6d_ros.cad.model import ObjectModel, Symmetries
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, ray_directions
from sam6d_ros.geometry.mesh import bounding_box, diameter
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.scene import SceneMaps, scene_maps
from sam6d_ros.types import Frame

Body = tuple[ObjectModel, NDArray[np.float64]]

CAMERA = CameraIntrinsics(320.0, 320.0, 159.5, 119.5, 320, 240)
# The camera looks down at 45° on a point of the table 0.6 m ahead; z of the table points up.
SLANT = np.sqrt(0.5)
CAM_FROM_TABLE = se3.from_rotation_translation(
    [[1, 0, 0], [0, -SLANT, -SLANT], [0, SLANT, -SLANT]], [0, 0, 0.6]
)
TABLE_RGB = (150, 120, 90)
PLATE_HEIGHT = 0.001
BOX_SIZE = (0.06, 0.09, 0.13)
HALF_TURNS = np.stack([se3.exp([0, 0, 0, *(np.pi * axis)]) for axis in (np.zeros(3), *np.eye(3))])


def model_of(
    shape: trimesh.Trimesh,
    name: str,
    colors: NDArray[np.uint8] | None = None,
    shape_symmetries: Symmetries | None = None,
) -> ObjectModel:
    """Onboarded by hand: nothing to detect, nothing to cache."""
    vertices = np.asarray(shape.vertices, np.float32)
    obj_from_box, box_size = bounding_box(vertices)
    return ObjectModel(
        name=name,
        vertices=vertices,
        faces=np.asarray(shape.faces, np.int32),
        colors=colors,
        diameter=diameter(vertices),
        obj_from_box=obj_from_box,
        box_size=box_size,
        symmetries=Symmetries(),
        shape_symmetries=shape_symmetries or Symmetries(),
        content_hash=f"still_life_{name}",
    )


def printed(shape: trimesh.Trimesh, cell: float) -> NDArray[np.uint8]:
    """A colour for every vertex: cubes of one colour each, no two turns of them alike."""
    palette = np.array(
        [[210, 40, 40], [40, 90, 200], [240, 220, 60], [30, 140, 70], [240, 240, 235], [40, 30, 60]]
    )
    cells = np.floor(np.asarray(shape.vertices) / cell).astype(int)
    mixed = (cells[:, 0] * 7 + cells[:, 1] * 3 + cells[:, 2] * 5 + cells[:, 2] * cells[:, 0]) % 6
    return palette[mixed].astype(np.uint8)


def carton() -> ObjectModel:
    """A printed box: its half turns have the same shape and other colours."""
    shape = fine(trimesh.creation.box(BOX_SIZE), 0.006)
    return model_of(shape, "carton", printed(shape, 0.03), Symmetries(HALF_TURNS))


def plain_box() -> ObjectModel:
    """The carton's shape in one colour."""
    shape = trimesh.creation.box(BOX_SIZE)
    colors = np.full((len(shape.vertices), 3), (60, 110, 160), np.uint8)
    return model_of(shape, "plain_box", colors, Symmetries(HALF_TURNS))


def bracket(colored: bool = True) -> ObjectModel:
    """An angle without any symmetry."""
    shape = fine(l_shape(), 0.01)
    grey = np.full((len(shape.vertices), 3), (70, 75, 80), np.uint8)
    return model_of(shape, "bracket" if colored else "bare_bracket", grey if colored else None)


def plate() -> ObjectModel:
    """Flat: depth binds its height and tilt and nothing else."""
    return model_of(trimesh.creation.box((0.16, 0.16, PLATE_HEIGHT)), "plate")


def standing(model: ObjectModel, x: float, y: float, turn_deg: float) -> NDArray[np.float64]:
    """cam_from_obj of a model that stands on the table at (x, y) metres."""
    height = float(-model.vertices[:, 2].min())
    return CAM_FROM_TABLE @ se3.exp([x, y, height, 0, 0, np.radians(turn_deg)])


def photograph(
    bodies: Sequence[Body], camera: CameraIntrinsics = CAMERA, table: bool = True
) -> Frame:
    """The nearest surface of every pixel."""
    depth = np.full((camera.height, camera.width), np.inf, np.float32)
    rgb = np.zeros((camera.height, camera.width, 3), np.uint8)
    if table:
        depth = table_depth(camera)
        rgb[np.isfinite(depth)] = TABLE_RGB
    for model, cam_from_obj in bodies:
        seen = model.scene.render(camera, cam_from_obj)
        nearer = seen.mask & (seen.depth < depth)
        depth[nearer], rgb[nearer] = seen.depth[nearer], seen.rgb[nearer]
    return Frame(rgb, np.where(np.isfinite(depth), depth, 0).astype(np.float32), camera)


def table_depth(camera: CameraIntrinsics = CAMERA) -> NDArray[np.float32]:
    """(H, W) metres, inf where a ray misses the table or meets it beyond 2 m."""
    v, u = np.mgrid[: camera.height, : camera.width]
    normal, point = CAM_FROM_TABLE[:3, 2], CAM_FROM_TABLE[:3, 3]
    along = ray_directions(camera, u, v).astype(float) @ normal
    with np.errstate(divide="ignore"):
        depth = (point @ normal) / along
    return np.where((depth > 0) & (depth < 2), depth, np.inf).astype(np.float32)


def maps_of(*bodies: Body, table: bool = True) -> SceneMaps:
    """What the stages look up in such a frame."""
    return scene_maps(photograph(bodies, table=table))


def mask_of(model: ObjectModel, cam_from_obj: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The silhouette, as if nothing stood before it."""
    return model.scene.render(CAMERA, cam_from_obj).mask


def hypotheses(*cam_from_obj: NDArray[np.float64], region: int = 1) -> Hypotheses:
    """These poses, all from one region."""
    poses = np.stack(cam_from_obj)
    return Hypotheses.from_poses(poses, np.zeros(len(poses)), np.full(len(poses), region))


def moved(
    cam_from_obj: NDArray[np.float64], shift_m: Sequence[float], turn_deg: Sequence[float]
) -> NDArray[np.float64]:
    """The pose after a shift and a turn about the object's own origin, camera axes."""
    out = se3.exp([0, 0, 0, *np.radians(turn_deg)]) @ cam_from_obj
    out[:3, 3] = cam_from_obj[:3, 3] + shift_m
    return out


def errors(cam_from_obj: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    """(metres, degrees) between two poses."""
    shift = np.linalg.norm(cam_from_obj[:3, 3] - truth[:3, 3])
    turn = np.degrees(se3.rotation_angle(cam_from_obj[:3, :3], truth[:3, :3]))
    return float(shift), float(turn)


def can(colored: bool = True):
    shape = fine(trimesh.creation.cylinder(0.04, 0.12, sections=64), 0.006)
    plain = np.full((len(shape.vertices), 3), (90, 110, 140), np.uint8)
    return model_of(
        shape, "can" if colored else "plain_can", printed(shape, 0.03) if colored else plain
    )
