"""The synthetic scene: the same for the same seed, with images that agree with the truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sam6d_ros.cad.objects import load_objects
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.synthetic import Sensor, SyntheticScene, make_scene, write_bop
from sam6d_ros.evaluation.synthetic.objects import CLUTTER, TARGETS
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics

pytestmark = pytest.mark.slow

SMALL = CameraIntrinsics(286.0, 286.0, 159.5, 119.5, 320, 240)
NAMES = ("tea_box", "mug", "bracket")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def ideal(cache) -> SyntheticScene:
    return make_scene(4, camera=SMALL, targets=NAMES, sensor=Sensor(strength=0), cache_dir=cache)


@pytest.fixture(scope="module")
def noisy(cache) -> SyntheticScene:
    return make_scene(4, camera=SMALL, targets=NAMES, frames=2, cache_dir=cache)


def test_the_same_seed_gives_the_same_pixels(noisy, cache):
    again = make_scene(4, camera=SMALL, targets=NAMES, frames=2, cache_dir=cache)
    for a, b in zip(noisy.views, again.views, strict=True):
        assert np.array_equal(a.frame.rgb, b.frame.rgb)
        assert np.array_equal(a.frame.depth, b.frame.depth)
    other = make_scene(5, camera=SMALL, targets=NAMES, cache_dir=cache)
    assert not np.array_equal(noisy.frame.rgb, other.frame.rgb)


def test_all_targets_are_in_view(ideal):
    assert [model.name for model in ideal.objects] == list(NAMES)
    assert [instance.class_id for instance in ideal.ground_truth] == list(NAMES)
    for instance in ideal.ground_truth:
        assert 0.3 < instance.visibility <= 1
        assert instance.mask.sum() > 200


def test_the_image_shows_the_models_at_their_true_poses(ideal):
    for model, truth in zip(ideal.objects, ideal.ground_truth, strict=True):
        seen = model.scene.render(SMALL, truth.cam_from_obj)
        assert not (truth.mask & ~seen.mask).any()
        difference = np.abs(seen.depth - ideal.frame.depth)[truth.mask]
        assert np.percentile(difference, 99) < 1e-4
        expected = truth.mask.sum() / seen.mask.sum()
        assert truth.visibility == pytest.approx(expected, abs=0.02)


def test_things_rest_on_the_table_and_do_not_touch(ideal):
    world_from_cam = ideal.views[0].world_from_cam
    placed = [
        se3.transform(world_from_cam @ truth.cam_from_obj, model.vertices)
        for model, truth in zip(ideal.objects, ideal.ground_truth, strict=True)
    ]
    for points in placed:
        assert abs(points[:, 2].min()) < 1e-4
    for index, points in enumerate(placed):
        for other in placed[:index]:
            gap = np.linalg.norm(points[::20, None, :2] - other[None, ::20, :2], axis=2).min()
            assert gap > 0.003


def test_the_noise_is_that_of_a_depth_camera(ideal, noisy):
    # the first view of both is the same but for the noise
    a, b = ideal.frame.depth, noisy.frame.depth
    both = (a > 0) & (b > 0) & (a < 1.2)
    error = (b - a)[both]
    assert abs(np.median(error)) < 0.001
    assert 0.0005 < np.median(np.abs(error)) < 0.003
    lost = ((a > 0) & (b == 0)).mean()
    assert 0.002 < lost < 0.2
    assert np.allclose(b * 1000, np.rint(b * 1000), atol=1e-3)  # whole millimetres
    assert not np.array_equal(ideal.frame.rgb, noisy.frame.rgb)


def test_the_camera_moves_and_the_world_does_not(noisy):
    first, second = noisy.views
    assert second.frame.stamp_ns > first.frame.stamp_ns
    step = se3.inverse(first.world_from_cam) @ second.world_from_cam
    assert 0.01 < np.linalg.norm(step[:3, 3]) < 0.05
    for a, b in zip(first.ground_truth, second.ground_truth, strict=True):
        assert np.allclose(
            first.world_from_cam @ a.cam_from_obj, second.world_from_cam @ b.cam_from_obj
        )


def test_what_is_written_is_read_back_as_a_data_set(noisy, tmp_path, cache):
    dataset = BopDataset(write_bop(noisy, tmp_path / "made"))
    targets = dataset.targets()
    assert [(t.scene_id, t.im_id) for t in targets] == [(0, 1), (0, 2)]
    assert targets[0].counts == {1: 1, 2: 1, 3: 1}
    for im_id, view in enumerate(noisy.views, start=1):
        frame = dataset.frame(0, im_id)
        assert np.array_equal(frame.rgb, view.frame.rgb)
        assert np.abs(frame.depth - view.frame.depth).max() < 6e-5
        assert frame.camera == view.frame.camera
        for read, made in zip(dataset.ground_truth(0, im_id), view.ground_truth, strict=True):
            assert read.obj_id == made.obj_id
            assert np.allclose(read.cam_from_obj, made.cam_from_obj, atol=1e-9)
            assert read.visibility == pytest.approx(made.visibility)
    infos = json.loads((tmp_path / "made/models/models_info.json").read_text())
    models = load_objects(tmp_path / "made/objects.yaml", cache_dir=cache)
    for model, written, info in zip(noisy.objects, models, infos.values(), strict=True):
        assert written.name == model.name == info["name"]
        assert 1000 * written.diameter == pytest.approx(info["diameter"], rel=1e-5)
        assert written.diameter == pytest.approx(model.diameter, rel=1e-5)
        assert len(written.colors) > 1000


@pytest.mark.parametrize("item", [*TARGETS, *CLUTTER], ids=lambda item: item.name)
def test_every_thing_is_a_sound_mesh(item):
    solid = item.make()
    assert solid.faces.max() < len(solid.vertices) == len(solid.colors)
    assert np.isfinite(solid.vertices).all()
    assert 0.05 < np.linalg.norm(np.ptp(solid.vertices, axis=0)) < 0.35
    assert len(solid.faces) < 90_000


@pytest.mark.parametrize("bad", [{"targets": ["spoon"]}, {"frames": 0}])
def test_wrong_wishes_are_refused(bad):
    with pytest.raises(InvalidInput, match=next(iter(bad))):
        make_scene(0, **bad)
