"""One entry of the grasp file, read and checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.symmetry.group import expand
from sam6d_ros.cad.yaml_entries import MAX_NAME, YamlEntry, shown
from sam6d_ros.errors import InvalidGrasps, InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.grasps.types import Grasp

Array = NDArray[np.float64]

KEYS = ("name", "xyz", "quat_xyzw", "rpy", "matrix", "width", "score", "pregrasp", "symmetric")
DEFAULT_PREGRASP_M = 0.1
UNIT_TOLERANCE = 1e-3  # of a quaternion's length
MAX_REACH_M = 20.0  # no object is larger; a number beyond is most likely in millimetres
# Copies of one grasp around an axis of symmetry, and of one grasp in all.
COPY_STEP_RAD = np.deg2rad(30.0)
MAX_COPIES = 48


@dataclass(frozen=True)
class GraspEntry:
    """A grasp as the file states it.

    Attributes:
        grasp: as stated.
        symmetric: whether it holds for every turn that leaves the object's look unchanged.
    """

    grasp: Grasp
    symmetric: bool = False

    def copies(self, symmetries: Symmetries) -> tuple[Grasp, ...]:
        """The grasp, and with ``symmetric`` its copies, named ``<name>_<number>``."""
        grasp = self.grasp
        if not (self.symmetric and symmetries.is_symmetric):
            return (grasp,)
        poses = expand(symmetries, COPY_STEP_RAD, MAX_COPIES) @ grasp.obj_from_grip
        return tuple(
            Grasp(f"{grasp.name}_{index}", pose, grasp.width, grasp.score, grasp.pregrasp)
            for index, pose in enumerate(poses)
        )


class GraspEntryReader(YamlEntry):
    """Reads one entry."""

    error = InvalidGrasps

    def entry(self) -> GraspEntry:
        self.check_keys("name, pose and width", KEYS)
        grasp = Grasp(
            self.text("name", MAX_NAME),
            self.pose(),
            self.number("width", None, "metres, 0 or more, below 1", 0.0, 1.0),
            self.number("score", 1.0, "a number in [0, 1]", 0.0, 1.0),
            self.number("pregrasp", DEFAULT_PREGRASP_M, "metres, 0 or more, below 1", 0.0, 1.0),
        )
        symmetric = self.item.get("symmetric", False)
        if not isinstance(symmetric, bool):
            raise self.fail("symmetric", f"is {shown(symmetric)}; expected true or false")
        return GraspEntry(grasp, symmetric)

    def pose(self) -> Array:
        """The gripper's frame in the object's: a matrix, or a position and one kind of turn."""
        turns = [key for key in ("quat_xyzw", "rpy") if key in self.item]
        if "matrix" in self.item:
            if turns or "xyz" in self.item:
                raise self.fail("matrix", "is the whole pose; leave xyz, quat_xyzw and rpy out")
            return self.matrix()
        if len(turns) != 1:
            raise self.fail(
                "", "has no pose; expected xyz with either quat_xyzw or rpy, or else matrix"
            )
        rotation = self.quaternion() if turns == ["quat_xyzw"] else self.roll_pitch_yaw()
        return se3.from_rotation_translation(rotation.as_matrix(), self.position())

    def matrix(self) -> Array:
        try:
            out = se3.check_rigid(self.numbers("matrix", 16).reshape(4, 4), "the matrix")
        except InvalidInput as error:
            raise self.fail("matrix", f"{error}; expected 4 × 4 by rows, metres") from error
        self.check_reach("matrix", out[:3, 3])
        return out

    def position(self) -> Array:
        out = self.numbers("xyz", 3)
        self.check_reach("xyz", out)
        return out

    def quaternion(self) -> Rotation:
        quat = self.numbers("quat_xyzw", 4)
        if abs(np.linalg.norm(quat) - 1) > UNIT_TOLERANCE:
            raise self.fail(
                "quat_xyzw", f"has length {np.linalg.norm(quat):.3g}; expected 1 (x, y, z, w)"
            )
        return Rotation.from_quat(quat)

    def roll_pitch_yaw(self) -> Rotation:
        """Turns about the fixed x, y, z axes in this order, as in URDF."""
        rpy = self.numbers("rpy", 3)
        if np.abs(rpy).max() > 2 * np.pi:
            raise self.fail("rpy", f"is {rpy.tolist()}; expected radians, at most one turn")
        return Rotation.from_euler("xyz", rpy)

    def check_reach(self, key: str, position: Array) -> None:
        if np.abs(position).max() > MAX_REACH_M:
            raise self.fail(
                key, f"places the grasp at {position.tolist()}; expected metres, not millimetres"
            )

    def numbers(self, key: str, count: int) -> Array:
        value = self.item.get(key)
        try:
            out = np.array(value, np.float64).ravel()
        except (TypeError, ValueError, OverflowError):
            out = np.zeros(0)
        if not isinstance(value, list) or out.size != count or not np.isfinite(out).all():
            raise self.fail(key, f"is {shown(value)}; expected {count} finite numbers")
        return out
