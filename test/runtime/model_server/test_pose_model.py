"""Pose pipeline as a model of the registry: frames with depth in, poses and a picture out."""

from __future__ import annotations

import numpy as np
import pytest
from support.oracles import AHEAD

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.runtime.model_server.frame_model import FrameInput
from sam6d_ros.runtime.model_server.pose_model import SCHEME, pose_model_opener
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.types import Frame

PATIENCE_S = 30.0
CAMERA = CameraIntrinsics(100.0, 100.0, 79.5, 59.5, 160, 120)
BOX = box_model()


@pytest.fixture
def registry(make_engine):
    def build():
        engine = make_engine()
        engine.take_objects({BOX.name: BOX}, {}, {})
        return engine

    made = Registry({SCHEME: pose_model_opener(build)})
    made.register(ModelSpec("poses", f"{SCHEME}:objects.yaml")).result(PATIENCE_S)
    yield made
    assert made.close()


def frame() -> Frame:
    rgb = np.full((120, 160, 3), 90, np.uint8)
    return Frame(rgb, np.full((120, 160), 1.0, np.float32), CAMERA, stamp_ns=7)


def test_a_frame_with_depth_gets_poses_boxes_and_a_picture(registry):
    assert registry.get("poses").labels == (BOX.name,)
    answer = registry.submit("poses", FrameInput.of(frame())).result(PATIENCE_S)
    (pose,) = answer.poses.items
    np.testing.assert_allclose(pose.cam_from_obj, AHEAD)
    assert answer.boxes.labels == (BOX.name,)
    assert answer.boxes.stamp_ns == 7
    left, top, right, bottom = answer.boxes.xyxy[0]
    assert 60 < left < 79.5 < right < 100  # 8 cm at 1 m, 100 pixels focal length
    assert 45 < top < 59.5 < bottom < 75
    drawn = answer.draw(frame().rgb)
    changed = (drawn != frame().rgb).any(axis=2)
    assert changed[int(top) : int(bottom), int(left) : int(right)].any()
    assert set(answer.seconds) == {"queue", "inference"}


def test_the_threshold_of_the_request_is_the_lowest_score(registry, stages):
    stages.scores[BOX.name] = 0.6
    for threshold, count in ((0.7, 0), (0.5, 1), (None, 1)):
        item = FrameInput.of(frame(), threshold)
        answer = registry.submit("poses", item).result(PATIENCE_S)
        assert (len(answer.poses), len(answer.boxes)) == (count, count)


def test_an_image_without_depth_is_refused_by_name(registry):
    refused = registry.submit("poses", FrameInput(frame().rgb)).exception(PATIENCE_S)
    assert isinstance(refused, InvalidInput)
    assert "no depth" in str(refused)
    assert registry.submit("poses", FrameInput.of(frame())).result(PATIENCE_S)
