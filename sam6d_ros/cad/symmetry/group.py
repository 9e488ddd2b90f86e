"""Symmetry groups: reading, completing and discretizing them. Detection is in ``detect``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.yaml_entries import shown
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

MAX_GROUP = 60  # the icosahedron's rotations; a larger closure means inconsistent generators
SAME_MOTION_RAD = np.deg2rad(10.0)  # detected motions are that inexact
SAME_STATED_RAD = np.deg2rad(2.5)  # below half a turn of the largest order, 360° / MAX_GROUP
NO_ROTATION_RAD = 1e-5  # of an identity in a file, rounded
MAX_EXPANDED = 4096


def turn(direction: Array, point: Array, angle: float | NDArray) -> Array:
    """Return rotations about an axis through a point.

    Args:
        direction: (3,) of the axis; any length above 0.
        point: (3,) on the axis.
        angle: (...) radians.

    Returns:
        (..., 4, 4) rigid transforms.
    """
    unit = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    angles = np.asarray(angle, np.float64)
    vectors = angles.reshape(-1, 1) * unit
    rotation = Rotation.from_rotvec(vectors).as_matrix().reshape(*angles.shape, 3, 3)
    return se3.from_rotation_translation(rotation, point - rotation @ point)


def expand(symmetries: Symmetries, max_step_rad: float, max_count: int = MAX_EXPANDED) -> Array:
    """List the motions of the group.

    A continuous axis is cut into equal turns of at most ``max_step_rad`` and combined with the
    discrete motions. Two axes (a sphere) span all rotations: turns about the first, the second
    and the first again. The step grows where the list would exceed ``max_count``.

    Args:
        symmetries: the group.
        max_step_rad: largest step of the rotation about a continuous axis, radians.
        max_count: largest number of motions.

    Returns:
        (S, 4, 4) motions, the identity first.
    """
    axes = list(symmetries.axes)
    if len(axes) > 1:
        axes = [axes[0], axes[1], axes[0]]
    out = np.asarray(symmetries.discrete, np.float64)
    if not axes:
        return out
    most = max(2, int((max_count / len(out)) ** (1 / len(axes))))
    steps = min(most, max(2, int(np.ceil(2 * np.pi / max_step_rad - 1e-9))))
    angles = 2 * np.pi * np.arange(steps) / steps
    for direction, point in axes:
        out = (turn(direction, point, angles)[:, None] @ out[None]).reshape(-1, 4, 4)
    return out


def is_same(a: Array, b: Array, axes: Array, same_rad: float = SAME_MOTION_RAD) -> bool:
    """Return whether two motions are the same group element, up to rotations about the axes.

    Args:
        a: (4, 4) motion.
        b: (4, 4) motion.
        axes: (A, 2, 3) continuous axes, direction and point.
        same_rad: largest angle between equal motions, radians.
    """
    if len(axes) > 1:
        return True  # all rotations
    if len(axes) == 1:
        direction = axes[0, 0] / np.linalg.norm(axes[0, 0])
        images = a[:3, :3] @ direction, b[:3, :3] @ direction
        return bool(images[0] @ images[1] > np.cos(same_rad))
    return bool(se3.rotation_angle(a[:3, :3], b[:3, :3]) < same_rad)


def complete(generators: Array, axes: Array, same_rad: float = SAME_MOTION_RAD) -> Array:
    """Return all products (S, 4, 4) of the motions, the identity first.

    Args:
        generators: (G, 4, 4) motions.
        axes: (A, 2, 3) continuous symmetries; motions are compared up to turns about them.
        same_rad: rotations nearer than this are one motion; products repeat the inexactness of
            their factors.

    Raises:
        InvalidInput: the motions generate more than ``MAX_GROUP``.
    """
    group = [np.eye(4)]
    for motion in generators:
        if not any(is_same(motion, have, axes, same_rad) for have in group):
            group.append(motion)
    done = 1
    while done < len(group) <= MAX_GROUP:
        for other in list(group[1:]):
            product = group[done] @ other
            if not any(is_same(product, have, axes, same_rad) for have in group):
                group.append(product)
        done += 1
    if len(group) > MAX_GROUP:
        raise InvalidInput(
            f"the {len(generators)} motions generate a group of more than {MAX_GROUP}, the largest "
            "one allowed: they are inconsistent, or of an order that means a continuous axis"
        )
    return np.stack(group)


def completed(symmetries: Symmetries) -> Symmetries:
    """Return the group that the motions of a list generate; the list itself if it is too large.

    The motions of datasets are inexact: the brick of YCB-V has two half turns 4.8° from square.

    Args:
        symmetries: motions of a data set.
    """
    try:
        group = complete(symmetries.discrete, symmetries.axes, _same_rad(symmetries))
    except InvalidInput as error:
        log.warning("symmetries are taken as listed: %s", error)
        return symmetries
    return Symmetries(group, symmetries.axes)


def union(first: Symmetries, second: Symmetries) -> Symmetries:
    """Return the group generated by both; where they agree, the motions of the first are kept.

    The second one, which was detected, is left out with a warning if they are inconsistent.

    Args:
        first: the stated group.
        second: the detected group.
    """
    axes = list(first.axes)
    for axis in second.axes:
        if not any(abs(_unit(axis[0]) @ _unit(have[0])) > np.cos(SAME_MOTION_RAD) for have in axes):
            axes.append(axis)
    all_axes = np.stack(axes[:2]) if axes else np.zeros((0, 2, 3))
    motions = np.concatenate([first.discrete, second.discrete])
    try:
        group = complete(motions, all_axes, _same_rad(first))
    except InvalidInput as error:
        log.warning("detected symmetries are left out: %s", error)
        return first
    return Symmetries(group, all_axes)


def _same_rad(symmetries: Symmetries) -> float:
    """Return below which angle two motions are one: less than half of the smallest rotation."""
    angles = se3.rotation_angle(np.eye(3), symmetries.discrete[1:, :3, :3])
    rotations = angles[angles > NO_ROTATION_RAD]  # some files list the identity too
    return min(SAME_MOTION_RAD, 0.45 * float(rotations.min(initial=np.pi)))


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)


def from_bop(entry: Mapping[str, Any], metres_per_unit: float = 1 / MM_PER_M) -> Symmetries:
    """Read the symmetries of one object of BOP's ``models_info.json`` (there in millimetres).

    Keys: ``symmetries_discrete``, lists of 16 (or 4×4) numbers, and ``symmetries_continuous``,
    maps of ``axis`` and ``offset``; source:
    https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md

    Args:
        entry: of one object in the file.
        metres_per_unit: scale of the translations.

    Returns:
        The group, in metres.

    Raises:
        InvalidInput: a motion is not rigid or an axis is zero; the message names which.
    """
    motions = [np.eye(4)]
    for index, values in enumerate(entry.get("symmetries_discrete", ())):
        motions.append(_motion(values, metres_per_unit, f"symmetries_discrete[{index}]"))
    axes = [
        _axis(item, metres_per_unit, f"symmetries_continuous[{index}]")
        for index, item in enumerate(entry.get("symmetries_continuous", ()))
    ]
    return Symmetries(np.stack(motions), np.stack(axes) if axes else np.zeros((0, 2, 3)))


def _motion(values: Any, metres_per_unit: float, name: str) -> Array:
    numbers = _numbers(values, 16, name).reshape(4, 4)
    numbers[:3, 3] *= metres_per_unit
    return se3.check_rigid(numbers, name)


def _axis(item: Any, metres_per_unit: float, name: str) -> Array:
    if not isinstance(item, Mapping) or "axis" not in item:
        raise InvalidInput(
            f"{name} is {shown(item)}; expected a map with axis: [x, y, z] and offset"
        )
    direction = _numbers(item["axis"], 3, f"{name}.axis")
    if np.linalg.norm(direction) < 1e-9:
        raise InvalidInput(f"{name}.axis is {direction.tolist()}; its length must not be zero")
    offset = _numbers(item.get("offset", (0, 0, 0)), 3, f"{name}.offset") * metres_per_unit
    return np.stack([_unit(direction), offset])


def _numbers(values: Any, count: int, name: str) -> Array:
    try:
        out = np.array(values, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        out = np.zeros(0)
    if out.size != count or not np.isfinite(out).all():
        raise InvalidInput(f"{name} is {shown(values)}; expected {count} finite numbers")
    return out
