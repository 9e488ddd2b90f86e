"""Sizes that do not fit the scene are reported as a matter of units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam6d_ros.cad.units import METRES_PER
from sam6d_ros.runtime.frame_checks import scale_question
from sam6d_ros.runtime.size_check import size_warning, with_size_question
from sam6d_ros.runtime.warmup import box_model, warm_up_input
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates, Scene

SCENE = Scene(warm_up_input(None)[1])  # a box of 0.2 m, half a metre away


@pytest.mark.parametrize("scale", [0.3, 1, 3])
def test_sizes_that_fit_raise_no_warning(scale):
    assert size_warning(box_model((0.08 * scale, 0.12 * scale, 0.16 * scale)), SCENE) == ""


def test_millimetres_taken_for_metres_are_too_large():
    assert "`unit: mm` in the objects file, or --cad-unit mm" in size_warning(
        box_model((80, 120, 160)), SCENE
    )


def test_metres_taken_for_millimetres_are_too_small():
    assert "`unit: m` in the objects file, or --cad-unit m" in size_warning(
        replace(box_model((8e-5, 12e-5, 16e-5)), unit="mm"), SCENE
    )


@pytest.mark.parametrize("unit", ["cm", "inch"])
def test_centimetres_taken_for_millimetres_are_reported(unit):
    raw = 0.2 / METRES_PER[unit]
    box = replace(box_model((raw / 1e3, raw / 2e3, raw / 2e3)), unit="mm", is_unit_assumed=True)
    assert unit in size_warning(box, SCENE)
    assert "if mm is right, state it" in size_warning(box, SCENE)


def test_a_stated_unit_may_be_small_in_the_scene():
    size = 10 * 0.558 / SCENE.frame.camera.fx  # 10 pixels at the nearest surface
    box = box_model((size, size / 10, size / 10))
    assert size_warning(replace(box, unit="mm"), SCENE) == ""
    assert size_warning(replace(box, unit="mm", is_unit_assumed=True), SCENE)


def test_without_depth_nothing_can_be_said():
    seen = SCENE.frame
    blind = Frame(seen.rgb, np.zeros_like(seen.depth), seen.camera)
    assert size_warning(box_model((80, 120, 160)), Scene(blind)) == ""


@pytest.mark.parametrize(("unit", "metres"), [("cm", "1.41 m"), ("inch", "3.59 m")])
def test_an_empty_result_asks_about_a_stated_unit_that_makes_the_object_large(unit, metres):
    box = replace(box_model((0.1, 0.06, 0.08)), unit="mm")
    raw = float(metres.split()[0]) / box.diameter
    large = replace(box_model(tuple(raw * s for s in (0.1, 0.06, 0.08))), unit=unit)
    empty = PoseEstimates.empty(SCENE.frame, "no region resembles any of the objects")
    assert with_size_question(empty, [box], SCENE) == empty
    reason = with_size_question(empty, [large], SCENE).reason
    assert reason.startswith("no region resembles any of the objects; warm_up_box was searched as")
    assert f"{metres} across (unit {unit}) and the scene reaches from 0." in reason
    assert "in mm it would be 0.141 m" in reason
    found = PoseEstimates((PoseEstimate("box", 0.9, np.eye(4)),), 0, "eye")
    assert with_size_question(found, [large], SCENE) == found


@pytest.mark.parametrize(("stated_mm", "right_mm"), [(1.0, 0.1), (0.1, 1.0)])
def test_an_empty_result_asks_about_a_stated_unit_of_depth(stated_mm, right_mm):
    seen = SCENE.frame
    wrong = replace(seen, depth=seen.depth * np.float32(stated_mm / right_mm))
    pose = PoseEstimates((PoseEstimate("box", 0.9, np.eye(4)),), 0, "eye")
    empty = PoseEstimates.empty(seen, "nothing stands off the dominant planes")

    def search(frame):
        return pose if np.allclose(frame.depth, seen.depth, rtol=1e-3) else empty

    reason = scale_question(wrong, empty, search, stated_mm).reason
    assert f"is the depth scale of {stated_mm:g} mm per unit right?" in reason
    assert f"With {right_mm:g} mm per unit the best pose scores 0.90" in reason
    assert scale_question(seen, empty, lambda _: empty, stated_mm) == empty
