"""Images of mono cameras: coloured models are compared with them in lightness only."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.geometric.scene import is_grey, lightness_only, scene_maps

pytestmark = pytest.mark.slow  # searches in images


@pytest.fixture(scope="module")
def made():
    return make_scene(0, targets=["tea_box"], cache_dir=default_cache_dir())


def grey(frame):
    one = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
    return replace(frame, rgb=np.repeat(one[..., None], 3, axis=2))


@pytest.mark.slow
def test_a_coloured_box_keeps_its_turn_in_a_grey_image(made):
    model = made.objects[0]
    spec = EngineSpec(
        PipelineConfig(backend="geometric"),
        default_cache_dir(),
        objects=ObjectSet({model.name: model}),
    )
    pose = build_engine(spec).run(grey(made.frame)).items[0]
    truth = made.ground_truth[0].cam_from_obj
    angle = se3.rotation_angle(pose.cam_from_obj[:3, :3], truth[:3, :3])
    assert np.degrees(angle) < 5


def test_grey_is_told_from_colour(made):
    assert not is_grey(made.frame.rgb)
    assert scene_maps(grey(made.frame)).is_grey
    _, data = cv2.imencode(".jpg", grey(made.frame).rgb)
    assert is_grey(cv2.imdecode(data, cv2.IMREAD_COLOR))


def test_a_coloured_part_in_a_grey_room_is_no_grey_image():
    rgb = np.full((480, 640, 3), 120, np.uint8)
    rgb[200:240, 300:340] = (180, 90, 40)
    assert not is_grey(rgb)


def test_lightness_stays():
    lab = np.array([[50.0, 20.0, -30.0]], np.float32)
    assert lightness_only(lab).tolist() == [[50.0, 0.0, 0.0]]
    assert lab[0, 1] == 20.0
