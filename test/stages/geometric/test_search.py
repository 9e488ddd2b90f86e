"""From seeds to poses: where seeds fall, what the fit corrects, what the whole search finds."""

import numpy as np
import pytest
from support.still_life import errors, hypotheses, maps_of, mask_of, moved, standing

from sam6d_ros.stages.geometric.fit import fit_to_depth
from sam6d_ros.stages.geometric.seeds import SEEDS_PER_OBJECT, seeds_in
from sam6d_ros.stages.geometric.turns import turned


def labels_of(*masks):
    labels = np.zeros(masks[0].shape, np.int32)
    for index, mask in enumerate(masks, start=1):
        labels[mask] = index
    return labels


@pytest.fixture(scope="module")
def two(bracket, carton):
    """A bracket (region 1) and a carton (region 2): scene, labels and both poses."""
    poses = [standing(bracket.model, -0.08, 0, 30), standing(carton.model, 0.1, 0.02, -35)]
    scene = maps_of((bracket.model, poses[0]), (carton.model, poses[1]))
    labels = labels_of(mask_of(bracket.model, poses[0]), mask_of(carton.model, poses[1]))
    return scene, labels, poses


def fitted(scene, labels, kit, poses):
    return fit_to_depth(scene, labels, poses, kit)


def test_seeds_lie_on_measured_pixels_of_their_region(two, bracket):
    scene, labels, _ = two
    seeds = seeds_in(scene, labels, bracket)
    rows, cols = seeds.pixels_rc.T
    assert np.array_equal(labels[rows, cols], seeds.region)
    assert (scene.depth[rows, cols] > 0).all()
    assert len(np.unique(seeds.pixels_rc, axis=0)) == len(rows)


def test_a_region_of_the_objects_size_gets_its_quota(two, bracket):
    seeds = seeds_in(two[0], two[1], bracket)
    count = np.bincount(seeds.region, minlength=3)
    assert 0.4 * SEEDS_PER_OBJECT < count[1] < 1.6 * SEEDS_PER_OBJECT


def test_more_area_gets_more_seeds(two, bracket):
    scene, labels, _ = two
    everywhere = (labels == 0) & (scene.depth > 0)
    table = np.where(everywhere, 3, labels).astype(np.int32)
    count = np.bincount(seeds_in(scene, table, bracket).region, minlength=4)
    assert count[3] > 4 * count[1]


def test_a_scrap_of_the_object_gets_no_seed(two, carton):
    scene, labels, _ = two
    rows, cols = np.argwhere(labels == 2).mean(0).astype(int)
    scrap = np.zeros_like(labels)
    scrap[rows - 4 : rows + 4, cols - 4 : cols + 4] = 1
    assert len(seeds_in(scene, scrap, carton).region) == 0


def test_what_is_too_far_to_show_anything_gets_no_seed(two, bracket):
    scene, labels, _ = two
    depth = np.where(scene.depth > 0, 4.0, 0).astype(np.float32)
    far = type(scene)(scene.camera, depth, scene.normals, scene.lab, scene.scale)
    assert len(seeds_in(far, labels, bracket).region) == 0


def test_a_window_chooses_among_the_same_seeds(two, bracket):
    """A region larger than the box of a detector is searched there as in the whole frame."""
    scene, labels, _ = two
    whole = seeds_in(scene, labels, bracket)
    window = np.zeros(labels.shape, bool)
    window[:, : int(np.median(whole.pixels_rc[:, 1]))] = True
    inside = window[tuple(whole.pixels_rc.T)]
    seeds = seeds_in(scene, labels, bracket, window)
    assert 0 < len(seeds.region) < len(whole.region)
    assert np.array_equal(seeds.pixels_rc, whole.pixels_rc[inside])
    assert np.array_equal(seeds.region, whole.region[inside])


@pytest.mark.parametrize("axis", np.vstack([np.eye(3), -np.eye(3)]).tolist())
def test_the_fit_pulls_a_pose_back(two, bracket, axis):
    scene, labels, (truth, _) = two
    turn = np.roll(axis, 1) * 8.0
    start = moved(truth, 0.01 * np.array(axis), turn)
    assert errors(start, truth) == pytest.approx((0.01, 8.0))
    found = fitted(scene, labels, bracket, hypotheses(start))
    shift, angle = errors(found.poses[0], truth)
    assert shift < 0.002
    assert angle < 1.0
    assert found.score[0] > 0.8


def test_the_fit_stays_at_the_truth(two, bracket, carton):
    scene, labels, truth = two
    for region, kit in ((1, bracket), (2, carton)):
        start = hypotheses(truth[region - 1], region=region)
        shift, angle = errors(fitted(scene, labels, kit, start).poses[0], truth[region - 1])
        assert shift < 0.002
        assert angle < 1.0


def test_the_fit_scores_the_truth_above_other_places(two, bracket):
    scene, labels, (truth, carton_pose) = two
    wrong = [moved(truth, (0, 0, 0), (90, 0, 0)), moved(truth, (0.4, 0, 0.1), (0, 0, 0))]
    scores = fitted(scene, labels, bracket, hypotheses(truth, *wrong, carton_pose)).score
    assert scores[0] > scores[1:].max() + 0.1
    assert (np.abs(scores) <= 1).all()


def test_what_sees_no_depth_is_left_where_it_is(two, bracket):
    scene, labels, (truth, _) = two
    behind = moved(truth, (0, 0, -2), (0, 0, 0))
    outside = moved(truth, (3, 0, 0), (0, 0, 0))
    found = fitted(scene, labels, bracket, hypotheses(behind, outside))
    assert found.poses == pytest.approx(np.stack([behind, outside]))
    assert found.score[0] == -1


def test_near_symmetric_poses_turn_about_the_objects_centre(bracket, two):
    truth = two[2][0]
    alike = turned(bracket, hypotheses(truth))
    centres = alike.rotation @ bracket.centre + alike.translation
    expected = truth[:3, :3] @ bracket.centre + truth[:3, 3]
    assert centres == pytest.approx(np.tile(expected, (len(alike), 1)))
    assert min(errors(pose, truth)[1] for pose in alike.poses) == pytest.approx(0, abs=1e-6)
