"""The thing to be scanned: the plane it stands on, and the box of the world around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.scan.heights import height_map
from sam6d_ros.scan.motion import Frames, Motion
from sam6d_ros.scan.open3d_module import open3d

Array = NDArray[np.float64]

CLOUD_FRAMES = 24  # enough to see the thing from all sides
CLOUD_VOXEL_M = 0.003
STAYING_M, STAYING_SHARE = 0.008, 0.12  # cube, and share of the frames that see a thing in it
PLANE_TOLERANCE_M = 0.006
PLANE_TRIALS = 2000
MIN_HEIGHT_M = 0.008  # of a point that counts as above the plane
CLUSTER_GAP_M = 0.015
FLOATING_M = 0.03  # lowest point of a thing that does not stand on the plane
DEFAULT_RADIUS_M = 0.20
MIN_POINTS = 40
# Another thing of this share of the largest makes the choice a guess.
RIVAL_SHARE = 0.3
MAX_RANGE_M = 2.5


@dataclass(frozen=True)
class Region:
    """Place of the thing on its plane.

    Attributes:
        stand_from_world: (4, 4) into a frame whose z = 0 is the plane, z up, origin under the
            middle of the thing.
        size: (3,) extents around the thing, metres: x and y centred, z from the plane up.
    """

    stand_from_world: Array
    size: Array


def find_region(
    frames: Frames,
    motion: Motion,
    *,
    radius_m: float = DEFAULT_RADIUS_M,
    centre: Array | None = None,
    masks: NDArray[np.bool_] | None = None,
) -> Region:
    """Fit the plane, and take the largest thing above it inside a circle.

    Args:
        frames: the recording.
        motion: its camera poses.
        radius_m: of the circle on the plane.
        centre: (3,) world, its middle; by default where the cameras look.
        masks: (N, H, W) bool pixels of the thing in each frame, if they are known.

    Returns:
        Plane and bounds of the thing.

    Raises:
        InvalidInput: no plane, no thing or two things of similar size in the circle.
    """
    cloud, on_mask, number = _cloud(frames, motion, masks)
    cameras = motion.world_from_cam[motion.used]
    focus = _focus(cameras) if centre is None else np.asarray(centre, np.float64)
    near = np.linalg.norm(cloud - focus, axis=1) < 3 * radius_m
    kept = _thinned(cloud[near])
    points, on_mask_points = cloud[near][kept], on_mask[near][kept]
    stays = _staying(cloud[near], number[near])[kept]
    if len(points) < MIN_POINTS:
        raise InvalidInput(
            f"{len(points)} points are measured within {3 * radius_m:.2f} m of the place the "
            "cameras look at; expected a thing on a plane there. Is the object within the range "
            "of the depth camera?"
        )
    plane = fit_plane(points, cameras[:, :3, 3])
    stand_from_world = stand_frame(plane, focus)
    local = se3.transform(stand_from_world, points)
    above = stays & (local[:, 2] > MIN_HEIGHT_M)
    inside = above & (np.hypot(local[:, 0], local[:, 1]) < radius_m)
    if masks is not None:
        inside &= on_mask_points
    thing = _largest(local[inside], radius_m)
    return _with_flat_parts(thing, stand_from_world, cloud[near], radius_m)


def _with_flat_parts(
    thing: Array, stand_from_world: Array, cloud: Array, radius_m: float
) -> Region:
    """Return the region of a thing with its parts that are too flat for single points.

    The plane is fitted again, to the cells beside the thing.
    """
    for _ in range(2):
        heights = height_map(se3.transform(stand_from_world, cloud), radius_m)
        raised = heights.raised(thing)
        beside = ~cv2.dilate(raised.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        flat = heights.points(beside)
        flat = flat[np.abs(flat[:, 2]) < PLANE_TOLERANCE_M]
        if len(flat) < MIN_POINTS:
            break
        plane = _least_squares(flat)
        change = stand_frame(plane * np.sign(plane[2]), np.zeros(3))
        stand_from_world = change @ stand_from_world
        thing = se3.transform(change, thing)
    whole = np.concatenate([thing, heights.points(raised)])
    return _around(whole, stand_from_world)


def _cloud(
    frames: Frames, motion: Motion, masks: NDArray[np.bool_] | None
) -> tuple[Array, NDArray[np.bool_], NDArray[np.intp]]:
    """Return points (P, 3) of the world, whether each lies on a mask, and its frame's number."""
    used = motion.used
    chosen = used[np.linspace(0, len(used) - 1, min(CLOUD_FRAMES, len(used))).astype(int)]
    clouds, flags, numbers = [], [], []
    for number, index in enumerate(chosen):
        frame = frames.frame(int(index))
        valid = (frame.depth > 0) & (frame.depth < MAX_RANGE_M)
        valid[:, ::2] = valid[::2] = False  # a quarter of the pixels is enough
        cloud = back_project(frame.camera, frame.depth)[valid]
        clouds.append(se3.transform(motion.world_from_cam[index], cloud))
        flags.append(np.ones(len(cloud), bool) if masks is None else masks[index][valid])
        numbers.append(np.full(len(cloud), number))
    return np.concatenate(clouds), np.concatenate(flags), np.concatenate(numbers)


def _thinned(points: Array) -> NDArray[np.intp]:
    """Return the indices of one point for each small cube."""
    return np.unique(_cubes(points, CLOUD_VOXEL_M), return_index=True)[1]


def _staying(points: Array, number: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return (P,) whether points of several frames lie near each; a moving hand has few."""
    _, cube = np.unique(_cubes(points, STAYING_M), return_inverse=True)
    frames = int(number.max(initial=0)) + 1
    seen = np.unique(cube * frames + number)
    counts = np.bincount(seen // frames, minlength=1)
    return np.asarray(counts[cube] >= max(1, round(STAYING_SHARE * frames)))


def _cubes(points: Array, side_m: float) -> NDArray[np.int64]:
    """Return the number (P,) of the cube in which each point lies."""
    cells = np.floor(points / side_m).astype(np.int64)
    cells = cells - cells.min(0) if len(cells) else cells
    sizes = cells.max(0, initial=0) + 1
    return np.asarray((cells[:, 0] * sizes[1] + cells[:, 1]) * sizes[2] + cells[:, 2])


def _focus(world_from_cam: Array) -> Array:
    """Return the point (3,) nearest to all optical axes (least squares)."""
    axes, origins = world_from_cam[:, :3, 2], world_from_cam[:, :3, 3]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    # a camera that hardly turns leaves the distance open: half a metre is near enough
    ahead = origins + 0.5 * axes
    weak = 1e-2 * np.eye(3)
    return np.linalg.solve(
        (across + weak).sum(0), (across @ origins[:, :, None])[..., 0].sum(0) + weak @ ahead.sum(0)
    )


def fit_plane(points: Array, eyes: Array) -> Array:
    """Return (4,) unit normal towards the cameras at (N, 3) ``eyes``, and offset: n·x + d = 0.

    Raises:
        InvalidInput: no plane holds a tenth of the points.
    """
    o3d = open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    o3d.utility.random.seed(0)
    plane, members = cloud.segment_plane(PLANE_TOLERANCE_M, 3, PLANE_TRIALS)
    if len(members) < max(MIN_POINTS, 0.1 * len(points)):
        raise InvalidInput(
            f"the largest plane holds {len(members)} of {len(points)} points around the thing; "
            "expected a tenth at least. Stand the object on a flat table that is in view"
        )
    plane = _least_squares(points[np.asarray(members)])
    height = eyes @ plane[:3] + plane[3]
    return plane if np.median(height) > 0 else -plane


def _least_squares(points: Array) -> Array:
    middle = points.mean(0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][2]
    return np.append(normal, -normal @ middle)


def stand_frame(plane: Array, focus: Array) -> Array:
    """Return (4, 4) stand_from_world of a plane (4,): z its normal, origin below the focus."""
    z = plane[:3]
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    origin = focus - (focus @ z + plane[3]) * z
    return se3.from_rotation_translation(rotation, -rotation @ origin)


def _largest(points: Array, radius_m: float) -> Array:
    """Return the points of the largest cluster.

    Raises:
        InvalidInput: there is none, it leaves the circle, or another is nearly as large.
    """
    if len(points) < MIN_POINTS:
        raise InvalidInput(
            f"{len(points)} points stand above the plane within {radius_m:.2f} m; expected an "
            f"object of at least {1000 * MIN_HEIGHT_M:.0f} mm height. Give its place (--centre) "
            "or a larger --radius"
        )
    labels = _standing(points, clusters(points))
    sizes = np.sort(np.bincount(labels[labels >= 0], minlength=1))[::-1]
    if len(sizes) > 1 and sizes[1] > RIVAL_SHARE * sizes[0]:
        raise InvalidInput(
            f"two things of {sizes[0]} and {sizes[1]} points stand in the circle of "
            f"{radius_m:.2f} m; expected one. Take one away, or give --centre and --radius"
        )
    best = points[labels == np.bincount(labels[labels >= 0]).argmax()]
    if np.hypot(best[:, 0], best[:, 1]).max() > radius_m - CLUSTER_GAP_M:
        raise InvalidInput(
            f"the thing reaches the edge of the circle of {radius_m:.2f} m; expected all of it "
            "inside. Give a larger --radius"
        )
    return best


def _standing(points: Array, labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the labels without clusters that float above the plane, an arm perhaps."""
    lowest = np.full(labels.max(initial=-1) + 1, np.inf)
    np.minimum.at(lowest, labels[labels >= 0], points[labels >= 0, 2])
    stands = lowest < FLOATING_M
    if not stands.any():
        return labels
    return np.where((labels >= 0) & stands[labels], labels, -1)


def clusters(points: Array) -> NDArray[np.intp]:
    """Return the number (N,) of the cluster of each point; -1 for stray ones."""
    o3d = open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    return np.asarray(cloud.cluster_dbscan(eps=CLUSTER_GAP_M, min_points=4))


def _around(thing: Array, stand_from_world: Array, margin: float = 0.02) -> Region:
    low, high = thing.min(0), thing.max(0)
    middle = np.array([*(low + high)[:2] / 2, 0.0])
    moved = se3.from_rotation_translation(np.eye(3), -middle) @ stand_from_world
    size = np.array([*(high - low)[:2] + 2 * margin, high[2] + margin])
    return Region(moved, size)
