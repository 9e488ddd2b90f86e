"""Sizes that do not fit the scene are reported as a matter of units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam6d_ros.cad.units import METRES_PER
from sam6d_ros.runtime.size_check import size_warning
from sam6d_ros.runtime.warmup import box_model, warm_up_input
from sam6d_ros.types import Frame, Scene

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
