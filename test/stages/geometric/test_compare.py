"""Agreement of a rendered pose with the scene, part by part."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.still_life import (
    BOX_SIZE,
    HALF_TURNS,
    PLATE_HEIGHT,
    hypotheses,
    maps_of,
    mask_of,
    moved,
    standing,
)

from sam6d_ros.geometry import se3
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.stages.geometric.compare import Agreement, agreement_of, compare, explained_mask
from sam6d_ros.stages.geometric.scene import lab_of
from sam6d_ros.stages.kernels.agreement import COLUMNS

RAYS = 3000


def agreement(scene, model, labels, *poses):
    return compare(scene, model, labels, hypotheses(*poses), RAYS)


def labels_of(mask):
    return mask.astype(np.int32)


@pytest.fixture(scope="module")
def scene_of_carton(carton):
    """The scene, its labels and the carton's pose."""
    pose = standing(carton.model, 0, 0, 30)
    return maps_of((carton.model, pose)), labels_of(mask_of(carton.model, pose)), pose


@pytest.fixture(scope="module")
def hidden(carton):
    """The carton with a bar before its lower left: scene, region of the carton, pose."""
    pose = standing(carton.model, 0, 0, 30)
    bar = replace(box_model((0.04, 0.02, 0.2)), name="bar")
    bar_pose = moved(standing(bar, -0.02, -0.1, 0), (0, 0, 0), (0, 0, 0))
    scene = maps_of((carton.model, pose), (bar, bar_pose))
    visible = mask_of(carton.model, pose) & ~mask_of(bar, bar_pose)
    return scene, visible, mask_of(carton.model, pose) & ~visible, pose


def test_a_true_pose_agrees_in_every_part(scene_of_carton, carton):
    scene, labels, pose = scene_of_carton
    found = agreement(scene, carton.model, labels, pose)
    assert found.fit[0] > 0.9
    assert found.visible[0] == 1
    assert found.contour[0] > 0.9
    assert found.color[0] > 0.8
    assert found.texture[0] > 0.85
    assert found.score[0] > 0.8


@pytest.mark.parametrize(
    "shift", [(0.02, 0, 0), (-0.02, 0, 0), (0, 0.02, 0), (0, -0.02, 0), (0, 0, 0.02), (0, 0, -0.02)]
)
def test_a_shifted_pose_scores_less(scene_of_carton, carton, shift):
    scene, labels, pose = scene_of_carton
    wrong = moved(pose, shift, (0, 0, 0))
    found = agreement(scene, carton.model, labels, pose, wrong)
    assert found.score[0] > found.score[1] + 0.05


@pytest.mark.parametrize("turn", [(15, 0, 0), (0, 15, 0), (0, 0, 15), (90, 0, 0), (0, 0, 90)])
def test_a_turned_pose_scores_less(scene_of_carton, carton, turn):
    scene, labels, pose = scene_of_carton
    wrong = moved(pose, (0, 0, 0), turn)
    found = agreement(scene, carton.model, labels, pose, wrong)
    assert found.score[0] > found.score[1] + 0.05


def test_the_score_falls_steadily_with_the_shift(scene_of_carton, carton):
    scene, labels, pose = scene_of_carton
    poses = [moved(pose, (k * 0.008, 0, 0), (0, 0, 0)) for k in range(6)]
    assert (np.diff(agreement(scene, carton.model, labels, *poses).score) < 0).all()


def test_every_part_is_a_share_whatever_the_pose(scene_of_carton, carton, bracket):
    scene, labels, pose = scene_of_carton
    rng = np.random.default_rng(0)
    turns = Rotation.random(200, random_state=0).as_matrix()
    places = pose[:3, 3] + rng.normal(size=(200, 3)) * 0.2
    poses = se3.from_rotation_translation(turns, places)
    for model in (carton.model, bracket.model):
        found = agreement(scene, model, labels, *poses)
        for name in [f.name for f in fields(Agreement)] + ["score"]:
            values = getattr(found, name)
            assert values.shape == (200,)
            assert ((values >= 0) & (values <= 1)).all(), name


def test_poses_out_of_sight_score_nothing(scene_of_carton, carton):
    scene, labels, pose = scene_of_carton
    outside, behind = np.array(pose), np.array(pose)
    outside[0, 3], behind[2, 3] = 2.0, -1.0
    found = agreement(scene, carton.model, labels, outside, behind)
    assert found.score == pytest.approx([0, 0])


def test_no_pose_gives_no_score(scene_of_carton, carton):
    scene, labels, pose = scene_of_carton
    none = hypotheses(pose).take(np.arange(0))
    assert compare(scene, carton.model, labels, none, RAYS).score.shape == (0,)
    assert agreement_of(np.zeros((1, COLUMNS))).score == pytest.approx([0])


def test_what_lies_outside_the_image_is_not_visible(carton):
    """Half of the silhouette lies beyond the left border."""
    pose = standing(carton.model, 0, 0, 0)
    pose[0, 3] = -pose[2, 3] * 159.5 / 320
    scene = maps_of((carton.model, pose))
    found = agreement(scene, carton.model, labels_of(mask_of(carton.model, pose)), pose)
    assert 0.4 < found.visible[0] < 0.6
    assert found.fit[0] > 0.85


def test_an_occluder_lowers_visible_and_not_fit(hidden, scene_of_carton, carton):
    scene, visible, covered, pose = hidden
    found = agreement(scene, carton.model, labels_of(visible), pose)
    alone = agreement(*scene_of_carton[:1], carton.model, scene_of_carton[1], pose)
    share = visible.sum() / (visible | covered).sum()
    assert 0.4 < share < 0.9
    assert found.visible[0] == pytest.approx(share, abs=0.04)
    assert found.fit[0] == pytest.approx(alone.fit[0], abs=0.05)
    assert found.score[0] < alone.score[0]


def test_an_object_cannot_hide_behind_its_own_region(hidden, carton):
    """The same picture, but the bar belongs to the pose's region: then the pose is wrong there."""
    scene, visible, covered, pose = hidden
    others = agreement(scene, carton.model, labels_of(visible), pose)
    own = agreement(scene, carton.model, labels_of(visible | covered), pose)
    assert own.visible[0] > others.visible[0] + 0.1
    assert own.fit[0] < others.fit[0] - 0.1
    assert own.score[0] < others.score[0] - 0.03


def test_texture_knows_the_right_one_of_look_alike_turns(scene_of_carton, carton):
    scene, labels, pose = scene_of_carton
    found = agreement(scene, carton.model, labels, *(pose @ HALF_TURNS))
    assert np.ptp(found.fit) < 0.03, "the shape alone cannot tell"
    assert found.texture[0] > found.texture[1:].max() + 0.2
    assert found.score[0] > found.score[1:].max() + 0.1


def test_a_plain_object_has_no_texture_to_compare(plain_box):
    pose = standing(plain_box.model, 0, 0, 30)
    labels = labels_of(mask_of(plain_box.model, pose))
    shaded = maps_of((plain_box.model, pose))
    rng = np.random.default_rng(0)
    mottled = np.clip(128 + 40 * rng.normal(size=(*labels.shape, 3)), 0, 255).astype(np.uint8)
    for scene in (shaded, replace(shaded, lab=lab_of(mottled, 1.5))):
        found = agreement(scene, plain_box.model, labels, pose)
        assert found.texture[0] == pytest.approx(0.5, abs=0.02)


def test_a_faint_pattern_says_little(carton):
    """Two nearly equal greys in the model, their reverse in the scene: shading could do that."""
    upper = carton.model.vertices[:, 2:] > 0
    pose = standing(carton.model, 0, 0, 30)
    labels = labels_of(mask_of(carton.model, pose))

    def texture(light, dark):
        colors = np.where(upper, light, dark).astype(np.uint8) * np.ones((1, 3), np.uint8)
        reverse = np.where(upper, dark, light).astype(np.uint8) * np.ones((1, 3), np.uint8)
        model = replace(carton.model, colors=colors)
        scene = maps_of((replace(carton.model, colors=reverse), pose))
        return agreement(scene, model, labels, pose).texture[0]

    assert texture(126, 108) == pytest.approx(0.5, abs=0.05)
    assert texture(250, 20) < 0.2


def test_the_wrong_colour_lowers_the_colour_alone(scene_of_carton, plain_box):
    """A blue box where the scene shows one, and where the scene is orange."""
    pose = scene_of_carton[2]
    labels = labels_of(mask_of(plain_box.model, pose))
    right = maps_of((plain_box.model, pose))
    orange = np.full((*labels.shape, 3), (230, 120, 30), np.uint8)
    wrong = replace(right, lab=lab_of(orange, 0))
    a, b = (agreement(scene, plain_box.model, labels, pose) for scene in (right, wrong))
    assert a.color[0] > 0.8
    assert b.color[0] < 0.3
    assert b.fit[0] == pytest.approx(a.fit[0])


def test_a_pose_in_a_wide_plane_has_no_contour(plate, carton):
    """Lying flush in a table top, nothing ends where the object ends."""
    flush = standing(plate.model, 0, 0, 20)
    flush[:3, 3] -= PLATE_HEIGHT * flush[:3, 2]
    labels = np.ones((240, 320), np.int32)
    empty = agreement(maps_of(), plate.model, labels, flush)
    assert empty.fit[0] > 0.9
    assert empty.contour[0] < 0.2
    box = standing(carton.model, 0, 0, 30)
    scene = maps_of((carton.model, box))
    assert agreement(scene, carton.model, labels, box).contour[0] > 0.9


def test_more_rays_say_the_same(scene_of_carton, carton):
    scene, labels, pose = scene_of_carton
    scores = [
        compare(scene, carton.model, labels, hypotheses(pose), rays).score[0]
        for rays in (250, 1500, 8000)
    ]
    assert np.ptp(scores) < 0.06


def test_colours_need_not_be_there(bracket):
    bare = replace(bracket.model, colors=None)
    pose = standing(bare, 0, 0, 30)
    found = agreement(maps_of((bare, pose)), bare, labels_of(mask_of(bare, pose)), pose)
    assert found.fit[0] > 0.9
    assert 0 < found.score[0] <= 1


def test_the_explained_mask_is_the_visible_silhouette(hidden, carton):
    scene, visible, _, pose = hidden
    mask = explained_mask(scene, carton.model, pose)
    assert (mask & visible).sum() / (mask | visible).sum() > 0.98


def test_nothing_is_explained_where_the_scene_differs(scene_of_carton, carton):
    scene, _, pose = scene_of_carton
    nearer, outside = np.array(pose), np.array(pose)
    nearer[2, 3] -= 0.2
    outside[0, 3] = 3.0
    assert not explained_mask(scene, carton.model, nearer).any()
    assert not explained_mask(scene, carton.model, outside).any()


def test_the_box_of_the_rays_covers_the_object(scene_of_carton, carton):
    """Every pixel of the silhouette is compared: the cells times their size are its area."""
    scene, labels, pose = scene_of_carton
    assert max(BOX_SIZE) < carton.model.diameter
    found = agreement(scene, carton.model, labels, pose, moved(pose, (0, 0, 0.3), (0, 0, 0)))
    assert found.visible == pytest.approx([1, 1])
