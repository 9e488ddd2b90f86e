"""Instances of a moving camera in a fixed frame: kept while hidden, forgotten once gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam6d_ros.errors import InvalidConfig
from sam6d_ros.evaluation.synthetic.noise import Sensor
from sam6d_ros.evaluation.synthetic.scene import CAMERA, SyntheticScene, make_scene
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.runtime.pose_buffer import FORGOTTEN_AFTER, PoseBuffer
from sam6d_ros.types import PoseEstimate, PoseEstimates

pytestmark = pytest.mark.slow  # renders a sequence

COVARIANCE = np.diag([1e-6, 4e-6, 9e-6, 1e-4, 2e-4, 3e-4])
NOTHING = PoseEstimates((), 0, "cam", "none")


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    """A box and a cat, seen from seven places of an arc, 1.5 degrees apart."""
    options = {"targets": ["tea_box", "toy_cat"], "clutter": 0, "frames": 13}
    return make_scene(4, camera=CAMERA.scaled(0.25), sensor=Sensor(strength=0), **options)


def models_of(scene):
    return {model.name: model for model in scene.objects}


def seen(scene, index, names=("tea_box", "toy_cat"), suffix="_0"):
    """True poses in a frame under their ids."""
    items = tuple(
        PoseEstimate(t.class_id, 0.8, t.cam_from_obj, COVARIANCE, instance_id=t.class_id + suffix)
        for t in scene.views[index].ground_truth
        if t.class_id in names
    )
    return PoseEstimates(items, index, "cam")


def update(buffer, scene, index, poses, **change):
    view = scene.views[index]
    frame = replace(view.frame, **change)
    return buffer.update(frame, poses, view.world_from_cam, models_of(scene))


def test_views_are_counted_and_fused_in_the_fixed_frame(scene):
    buffer = PoseBuffer(60.0)
    for index in range(13):
        found = update(buffer, scene, index, seen(scene, index))
    assert sorted(one.pose.instance_id for one in found) == ["tea_box_0", "toy_cat_0"]
    for one in found:
        (truth,) = [t for t in scene.views[0].ground_truth if t.class_id == one.pose.class_id]
        place = (scene.views[0].world_from_cam @ truth.cam_from_obj)[:3, 3]
        assert np.allclose(one.pose.cam_from_obj[:3, 3], place, atol=1e-6)
        assert 3 <= one.views < 13  # neighbouring frames are one view
        assert np.trace(one.pose.covariance) < np.trace(COVARIANCE) / 2
        assert one.seen_ns == scene.views[12].frame.stamp_ns


def test_an_instance_stays_while_its_place_is_hidden(scene):
    buffer = PoseBuffer(60.0)
    update(buffer, scene, 0, seen(scene, 0))
    dark = np.zeros_like(scene.frame.depth)
    for index in range(1, 9):
        found = update(buffer, scene, index, NOTHING, depth=dark)
    assert len(found) == 2
    assert {one.seen_ns for one in found} == {scene.views[0].frame.stamp_ns}


def test_an_instance_is_forgotten_where_the_camera_looks_through_its_place(scene):
    buffer = PoseBuffer(60.0)
    update(buffer, scene, 0, seen(scene, 0))
    far = np.full_like(scene.frame.depth, 5.0)
    for _ in range(FORGOTTEN_AFTER - 1):
        assert len(update(buffer, scene, 0, NOTHING, depth=far)) == 2
    assert update(buffer, scene, 0, NOTHING, depth=far) == []


def test_an_instance_is_forgotten_after_its_time_or_with_its_object(scene):
    buffer = PoseBuffer(2.0)
    update(buffer, scene, 0, seen(scene, 0))
    view = scene.views[0]
    only = {"toy_cat": models_of(scene)["toy_cat"]}
    (cat,) = buffer.update(view.frame, NOTHING, view.world_from_cam, only)
    assert cat.pose.class_id == "toy_cat"
    later = view.frame.stamp_ns + 3 * NS_PER_S
    assert update(buffer, scene, 0, NOTHING, stamp_ns=later) == []


def test_an_instance_that_comes_back_under_another_id_is_the_same(scene):
    buffer = PoseBuffer(60.0)
    update(buffer, scene, 0, seen(scene, 0))
    found = update(buffer, scene, 12, seen(scene, 12, suffix="_7"))
    assert sorted(one.pose.instance_id for one in found) == ["tea_box_7", "toy_cat_7"]
    assert {one.views for one in found} == {2}


def test_an_age_of_zero_is_refused():
    with pytest.raises(InvalidConfig, match="max_age_s is 0"):
        PoseBuffer(0.0)
