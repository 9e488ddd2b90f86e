"""Boxes with declared symmetries, random poses and covariances, for laws of symmetric objects."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.warmup import box_model

SIZE = (0.08, 0.12, 0.16)
HALF_TURNS = np.stack(
    [np.eye(4), *(se3.exp([0, 0, 0, *(np.pi * axis)]) for axis in np.eye(3))]  # D2
)
Z_AXIS = np.array([[[0.0, 0, 1], [0, 0, 0]]])
GROUPS = {
    "none": Symmetries(),
    "half turns": Symmetries(HALF_TURNS),
    "axis": Symmetries(axes=Z_AXIS),
    "axis and flip": Symmetries(HALF_TURNS[:2], Z_AXIS),
    "ball": Symmetries(axes=np.concatenate([Z_AXIS, Z_AXIS[:, :, [2, 0, 1]]])),
}
COVARIANCE = np.diag([1e-6, 2e-6, 8e-6, 1e-4, 2e-4, 3e-4])
# A shift of the CAD origin that a symmetry turns about: 30 cm off the axis.
OFF_AXIS = se3.exp([0.3, 0, 0, 0, 0, 0])


def model(group="none", name="box"):
    base = replace(box_model(SIZE), name=name)
    return replace(base, symmetries=GROUPS[group], shape_symmetries=GROUPS[group])


def random_pose(rng):
    rotation = Rotation.random(rng=rng).as_matrix()
    return se3.from_rotation_translation(rotation, rng.uniform([-0.5, -0.5, 0.5], [0.5, 0.5, 2]))


def random_member(symmetries, rng):
    """Some motion of the object onto itself."""
    motion = symmetries.discrete[rng.integers(len(symmetries.discrete))]
    for direction, _ in symmetries.axes:
        motion = se3.exp([0, 0, 0, *(rng.uniform(-np.pi, np.pi) * direction)]) @ motion
    return motion


def jittered(pose, rng, shift_m=0.001, turn_rad=0.01):
    scale = np.repeat([shift_m, turn_rad], 3)
    return se3.moved(pose, rng.normal(size=6) * scale)
