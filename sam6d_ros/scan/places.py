"""Place of the object from the user: a pixel of the first frame, or a box in it."""

from __future__ import annotations

import numpy as np

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import back_project, ray_directions
from sam6d_ros.scan.motion import Frames, Motion
from sam6d_ros.scan.region import (
    CLUSTER_GAP_M,
    MIN_HEIGHT_M,
    MIN_POINTS,
    fit_plane,
    stand_frame,
)

Place = tuple[float, float, float]
HIDDEN = 1.5  # radius of the circle over that of the visible part: the back is hidden


def place_of_pixel(frames: Frames, motion: Motion, u: int, v: int) -> tuple[float, float, float]:
    """Return the point (3,) of the world that a pixel of the first used frame shows.

    Args:
        frames: the recording.
        motion: its camera poses.
        u: column.
        v: row.

    Raises:
        InvalidInput: it is outside the image, or no depth is measured around it.
    """
    index = int(motion.used[0])
    frame = frames.frame(index)
    height, width = frame.depth.shape
    if not (0 <= u < width and 0 <= v < height):
        raise InvalidInput(f"the pixel is {u} {v}; expected one inside {width} x {height}")
    window = frame.depth[max(0, v - 4) : v + 5, max(0, u - 4) : u + 5]
    if not (window > 0).any():
        raise InvalidInput(
            f"no depth is measured within 4 pixels of {u} {v} in frame {index}; expected a pixel "
            "on the object. Give another one, or --centre"
        )
    depth = float(np.median(window[window > 0]))
    ray = ray_directions(frame.camera, np.array([u]), np.array([v]))
    x, y, z = se3.transform(motion.world_from_cam[index], depth * ray)[0].tolist()
    return x, y, z


def circle_of_box(
    frames: Frames, motion: Motion, box_xyxy: tuple[int, int, int, int]
) -> tuple[Place, float]:
    """Return the middle (3,), world, and radius, metres, of a circle around a box's object.

    Args:
        frames: the recording.
        motion: its camera poses.
        box_xyxy: box around the object in the first used frame, pixels.

    Raises:
        InvalidInput: the box is none or outside the image, or nothing stands on a plane in it.
    """
    index = int(motion.used[0])
    frame = frames.frame(index)
    height, width = frame.depth.shape
    left, top, right, bottom = box_xyxy
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InvalidInput(
            f"the box is {left} {top} {right} {bottom}; expected left, top, right and bottom "
            f"inside {width} x {height}"
        )
    cloud = back_project(frame.camera, frame.depth).astype(np.float64)
    wide, tall = (right - left) // 2, (bottom - top) // 2
    around = (slice(max(0, top - tall), bottom + tall), slice(max(0, left - wide), right + wide))
    inside = (slice(top, bottom), slice(left, right))
    near, chosen = (cloud[part][frame.depth[part] > 0] for part in (around, inside))
    if len(chosen) < MIN_POINTS:
        raise InvalidInput(
            f"{len(chosen)} pixels of the box have depth in frame {index}; expected {MIN_POINTS} "
            "at least. Draw it around the object"
        )
    stand_from_cam = stand_frame(fit_plane(near, np.zeros((1, 3))), np.median(chosen, axis=0))
    local = se3.transform(stand_from_cam, chosen)
    thing = local[local[:, 2] > MIN_HEIGHT_M]
    if len(thing) < MIN_POINTS:
        raise InvalidInput(
            f"{len(thing)} points of the box stand above the plane in frame {index}; expected an "
            f"object of at least {1000 * MIN_HEIGHT_M:.0f} mm height in it"
        )
    middle = (thing[:, :2].min(0) + thing[:, :2].max(0)) / 2
    reach = float(np.linalg.norm(thing[:, :2] - middle, axis=1).max())
    world_from_stand = motion.world_from_cam[index] @ se3.inverse(stand_from_cam)
    x, y, z = se3.transform(world_from_stand, np.array([[*middle, 0.0]]))[0].tolist()
    return (x, y, z), HIDDEN * reach + 2 * CLUSTER_GAP_M
