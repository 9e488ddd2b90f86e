"""Warnings about frames: given for a fault, and only for a fault."""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from support.still_life import carton, photograph, standing

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.frame_checks import (
    color_order_warning,
    frame_warnings,
    other_scale,
    with_swapped_colors,
)
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates, Scene

pytestmark = pytest.mark.slow  # renders and searches whole scenes

SEEDS = (0, 1)
CARTON = carton()


@lru_cache
def scene_of(seed):
    return make_scene(seed, cache_dir=default_cache_dir())


def view(seed):
    return scene_of(seed).views[0]


def along_the_ray(frame: Frame) -> Frame:
    v, u = np.mgrid[: frame.depth.shape[0], : frame.depth.shape[1]]
    x, y = (u - frame.camera.cx) / frame.camera.fx, (v - frame.camera.cy) / frame.camera.fy
    return replace(frame, depth=(frame.depth * np.sqrt(1 + x**2 + y**2)).astype(np.float32))


def color_shifted(frame: Frame, x: int, y: int) -> Frame:
    size = frame.rgb.shape[1::-1]
    motion = np.array([[1, 0, x], [0, 1, y]], np.float32)
    moved = cv2.warpAffine(frame.rgb, motion, size, borderMode=cv2.BORDER_REPLICATE)
    return replace(frame, rgb=moved.astype(np.uint8))


def swapped(frame: Frame) -> Frame:
    return replace(frame, rgb=np.ascontiguousarray(frame.rgb[..., ::-1]))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_frame_raises_no_warning(seed):
    seen = view(seed)
    assert frame_warnings(Scene(seen.frame)) == ()
    assert color_order_warning(seen.frame, true_poses(seen), models_of(seed)) == ""


@pytest.mark.parametrize("seed", SEEDS)
def test_depth_along_the_ray_is_named_with_the_remedy(seed):
    (warning,) = frame_warnings(Scene(along_the_ray(view(seed).frame)))
    assert "distance to the camera centre, along the ray" in warning
    assert "Divide each pixel by the length of (x/fx, y/fy, 1)" in warning


@pytest.mark.parametrize("shift", [(28, 0), (-40, 0), (0, 18), (20, -14)])
@pytest.mark.parametrize("seed", SEEDS[:1])
def test_color_beside_depth_is_named_with_the_shift(seed, shift):
    (warning,) = frame_warnings(Scene(color_shifted(view(seed).frame, *shift)))
    assert "not to be registered" in warning
    said = [int(number) for number in warning.split("a shift of (")[1].split(")")[0].split(",")]
    assert said == pytest.approx(shift, abs=3)


def test_frames_that_show_nothing_raise_no_warning():
    frame = view(0).frame
    empty = replace(frame, depth=np.zeros_like(frame.depth))
    flat = replace(frame, depth=np.ones_like(frame.depth), rgb=np.zeros_like(frame.rgb))
    for seen in (empty, flat):
        assert frame_warnings(Scene(seen)) == ()


def models_of(seed):
    return {model.name: model for model in scene_of(seed).objects}


def true_poses(seen):
    items = tuple(PoseEstimate(t.class_id, 0.8, t.cam_from_obj) for t in seen.ground_truth)
    return PoseEstimates(items, 0, "eye")


@pytest.mark.parametrize("seed", SEEDS)
def test_red_and_blue_swapped_are_named(seed):
    seen = view(seed)
    warning = color_order_warning(swapped(seen.frame), true_poses(seen), models_of(seed))
    assert "red and blue seem to be swapped" in warning


def test_the_swap_is_seen_at_a_pose_that_is_turned_too():
    pose, turned = standing(CARTON, 0, 0, 30), standing(CARTON, 0, 0, 210)
    frame = swapped(photograph([(CARTON, pose)]))
    found = PoseEstimates((PoseEstimate("carton", 0.6, turned),), 0, "eye")
    assert "swapped" in color_order_warning(frame, found, {"carton": CARTON})


@pytest.mark.slow
def test_another_unit_and_order_are_tried_where_the_result_is_poor(tmp_path):
    config = PipelineConfig(backend="geometric", max_instances=1)
    objects = ObjectSet({CARTON.name: CARTON})
    search = build_engine(EngineSpec(config, tmp_path, objects=objects)).run
    frame = photograph([(CARTON, standing(CARTON, 0, 0, 30))])
    right = search(frame)
    assert other_scale(frame, right, search) == ""
    assert with_swapped_colors(frame, right, search) == ""
    nothing = PoseEstimates.empty(frame, "none")
    assert "exchanged the best pose scores" in with_swapped_colors(swapped(frame), nothing, search)
    raw = replace(frame, depth=4 * frame.depth)
    warning = other_scale(raw, search(raw), search)
    assert "--depth-scale 0.25" in warning
    assert "1 mm per unit was assumed" in warning
