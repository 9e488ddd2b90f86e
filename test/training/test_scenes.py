import numpy as np
import pytest

from sam6d_ros.errors import InvalidInput
from training import objects
from training.data import numbers
from training.files import load_scene, save_scene
from training.scenes import KINDS, PATTERN, SPLITS, make_scene


@pytest.fixture(scope="module")
def scenes():
    return {kind: make_scene(kind, "test", 3) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_shows_its_objects_at_their_true_depth(scenes, kind):
    scene = scenes[kind]
    camera, depth = scene.frame.camera, scene.frame.depth
    seen = [truth for truth in scene.truth if truth.visibility > 0.9]
    errors = []
    for truth in seen:
        rendered = objects.ray_scene(truth.name).render(camera, truth.cam_from_obj)
        both = rendered.mask & (depth > 0)
        errors.append(depth[both] - rendered.depth[both])
    assert abs(np.median(np.concatenate(errors))) < 0.008


@pytest.mark.parametrize("kind", KINDS)
def test_the_present_objects_are_asked_and_about_as_many_absent_ones(scenes, kind):
    scene = scenes[kind]
    present = {truth.name for truth in scene.truth}
    absent = set(scene.asked) - present
    assert present <= set(scene.asked)
    assert absent
    assert any(objects.parse(name).variant for name in absent)


def test_a_bin_has_one_part_and_a_heap_several(scenes):
    assert len({truth.name for truth in scenes["bin"].truth}) == 1
    assert len(scenes["bin"].truth) > 3
    assert len({truth.name for truth in scenes["heap"].truth}) > 1


def test_the_same_seed_gives_the_same_pixels_and_another_one_others(scenes):
    again, other = make_scene("bin", "test", 3), make_scene("bin", "test", 4)
    assert np.array_equal(again.frame.rgb, scenes["bin"].frame.rgb)
    assert np.array_equal(again.frame.depth, scenes["bin"].frame.depth)
    assert not np.array_equal(other.frame.rgb, again.frame.rgb)


def test_the_splits_share_no_object():
    names = [
        {name for group in groups for name in objects.names(group)}
        for groups in objects.GROUPS.values()
    ]
    assert len(set.union(*names)) == sum(map(len, names)) > 200


def test_kinds_are_mixed_as_stated():
    shares = [PATTERN.count(kind) / len(PATTERN) for kind in KINDS]
    assert shares == [0.4, 0.25, 0.35]


def test_look_alikes_keep_shape_or_print():
    carton, other_print = (objects.solid(name) for name in ("carton_500", "carton_500p"))
    other_size = objects.solid("carton_500s")
    assert np.array_equal(carton.vertices, other_print.vertices)
    assert not np.array_equal(carton.colors, other_print.colors)
    assert np.array_equal(carton.colors, other_size.colors)
    factor = np.ptp(other_size.vertices, axis=0) / np.ptp(carton.vertices, axis=0)
    assert np.allclose(factor, factor[0])
    assert abs(factor[0] - 1) > 0.1


def test_baked_light_leaves_the_symmetries_of_the_true_object(tmp_path):
    model = objects.model("block_511", tmp_path)
    assert len(np.unique(model.colors, axis=0)) > 1
    assert len(model.symmetries.discrete) >= 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", [0, 1, 2]), ("0", []), ("0-2,7-8,11", [0, 1, 2, 7, 8, 11]), ("5-5", [5])],
)
def test_scenes_are_counted_or_named(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize("name", ["carton", "teapot_3", "carton_3x", ""])
def test_a_name_of_no_object_is_refused(name):
    with pytest.raises(InvalidInput, match="expected <kind>_<number>"):
        objects.parse(name)


def test_an_unknown_kind_or_split_is_refused():
    with pytest.raises(InvalidInput, match="shelf"):
        make_scene("shelf", SPLITS[0], 0)
    with pytest.raises(InvalidInput, match="holdout"):
        make_scene(KINDS[0], "holdout", 0)


def test_a_scene_survives_its_file(scenes, tmp_path):
    scene = scenes["heap"]
    save_scene(tmp_path / "scene.npz", scene)
    again = load_scene(tmp_path / "scene.npz")
    assert np.array_equal(again.frame.rgb, scene.frame.rgb)
    assert np.allclose(again.frame.depth, scene.frame.depth, atol=1e-4)
    assert again.frame.camera == scene.frame.camera
    assert (again.domain, again.asked) == (scene.domain, scene.asked)
    for mine, theirs in zip(again.truth, scene.truth, strict=True):
        assert (mine.name, mine.visibility) == (theirs.name, theirs.visibility)
        assert np.array_equal(mine.cam_from_obj, theirs.cam_from_obj)
