"""Transforms of a bag, looked up by stamp."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.plain_bag import transform

from sam6d_ros.errors import InvalidBag, InvalidInput
from sam6d_ros.frames.bags.transforms import Transforms
from sam6d_ros.geometry import se3


def pose(angle_deg: float, x: float) -> np.ndarray:
    turn = Rotation.from_euler("z", angle_deg, degrees=True).as_matrix()
    return se3.from_rotation_translation(turn, [x, 0, 0])


def tree(*rows: tuple[str, str, np.ndarray, int], is_static: bool = False) -> Transforms:
    out = Transforms(Path("walk"))
    for row in rows:
        out.add(SimpleNamespace(transforms=[transform(*row)]), is_static)
    return out


def test_poses_between_two_stamps_are_interpolated() -> None:
    moving = tree(("world", "cam", pose(0, 0), 1000), ("world", "cam", pose(40, 2), 2000))
    assert np.allclose(moving.target_from_source("world", "cam", 1250), pose(10, 0.5))
    assert np.allclose(moving.target_from_source("world", "/cam", 2000), pose(40, 2))
    back = moving.target_from_source("cam", "world", 1250)
    assert np.allclose(back @ pose(10, 0.5), np.eye(4))


@pytest.mark.parametrize("stamp_ns", [999, 2001])
def test_nothing_is_extrapolated(stamp_ns: int) -> None:
    moving = tree(("world", "cam", pose(0, 0), 1000), ("world", "cam", pose(40, 2), 2000))
    assert np.isnan(moving.target_from_source("world", "cam", stamp_ns)).all()


def test_static_links_hold_at_every_stamp_and_join_branches() -> None:
    links = tree(("base", "cam", pose(90, 1), 5), ("base", "tool", pose(0, 3), 7), is_static=True)
    found = links.target_from_source("tool", "cam", 10**12)
    assert np.allclose(found, se3.inverse(pose(0, 3)) @ pose(90, 1))


def test_frames_that_nothing_connects_are_refused() -> None:
    apart = tree(("world", "cam", pose(0, 0), 0), ("odom", "base", pose(0, 0), 0))
    with pytest.raises(InvalidInput, match="expected one of the frames base, cam, odom, world"):
        apart.target_from_source("odom", "cam", 0)


def test_frames_in_a_circle_end() -> None:
    ring = tree(("a", "b", pose(0, 1), 0), ("b", "a", pose(0, 1), 0), is_static=True)
    with pytest.raises(InvalidInput, match="does not connect 'c'"):
        ring.target_from_source("c", "a", 0)


@pytest.mark.parametrize("turn", [(0, 0, 0, 0), (np.nan, 0, 0, 1)])
def test_a_rotation_that_is_none_is_refused(turn: tuple[float, ...]) -> None:
    message = transform("world", "cam", np.eye(4), 0)
    for name, value in zip("xyzw", turn, strict=True):
        object.__setattr__(message.transform.rotation, name, value)
    with pytest.raises(InvalidBag, match="cam below world"):
        Transforms(Path("walk")).add(SimpleNamespace(transforms=[message]), False)
