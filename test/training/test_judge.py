import json

import cv2
import numpy as np
import pytest

from sam6d_ros.evaluation import catalogue
from sam6d_ros.evaluation.synthetic.scene import make_scene
from sam6d_ros.geometry import se3
from sam6d_ros.stages.geometric.judge import read_instance_judge
from sam6d_ros.stages.geometric.paired import COLUMNS
from sam6d_ros.stages.geometric.surroundings import OF_POSE, SURROUNDINGS
from training import judge
from training.decision import Pixels, groups, instances, stand, standing
from training.files import Candidates, load_candidates, save_candidates
from training.fit import Scenes, fit, left_out
from training.fit import catalogue as catalogue_of
from training.labels import PoseError, nearest
from training.logistic import Logistic, fit_logistic
from training.scenes import Truth


def candidates(values, error, instance=None, pixels=None, domain="table", name="mug_1"):
    count = len(error)
    masks = np.zeros((count, 16), bool)
    for row, chosen in enumerate(pixels or [range(16)] * count):
        masks[row, list(chosen)] = True
    return Candidates(
        domain,
        np.array(["fit", "contour", "score", "log_quality", "texture", *OF_POSE]),
        np.column_stack([values, np.zeros((count, 3 + len(OF_POSE)))]),
        np.asarray(error, float),
        np.asarray(instance if instance is not None else np.arange(count)),
        np.array([name] * count),
        np.tile(np.eye(4), (count, 1, 1)),
        np.eye(count, dtype=bool),
        np.packbits(masks, axis=1),
        np.ones(count),
        np.zeros((count, 2)),
    )


def drawn(rng, count, weights, constant):
    values = rng.normal((0.6, 0.4), (0.2, 0.1), (count, 2))
    z = (values - (0.6, 0.4)) / (0.2, 0.1)
    right = rng.random(count) < 1 / (1 + np.exp(-(z @ weights + constant)))
    return values, right


def test_the_fit_recovers_known_weights():
    values, right = drawn(np.random.default_rng(0), 20_000, (2.0, -1.0), -1.0)
    model = fit_logistic(values, right, np.ones(len(right)), strength=1e3)
    assert np.allclose(model.weights, (2.0, -1.0), atol=0.1)
    assert model.constant == pytest.approx(-1.0, abs=0.1)


def test_a_weight_that_contradicts_its_sign_becomes_zero():
    values, right = drawn(np.random.default_rng(0), 2_000, (2.0, -1.0), -1.0)
    model = fit_logistic(values, right, np.ones(len(right)), strength=1e3, signs=(1, 1))
    assert model.weights[0] == pytest.approx(1.8, abs=0.3)
    assert model.weights[1] == 0


def test_the_penalty_shrinks_the_weights():
    values, right = drawn(np.random.default_rng(0), 500, (2.0, -1.0), 0.0)
    strong, weak = (fit_logistic(values, right, np.ones(500), c) for c in (1e-3, 1e3))
    assert np.linalg.norm(strong.weights) < 0.5 * np.linalg.norm(weak.weights)


def test_rescaling_the_model_rescales_its_log_odds():
    model = Logistic(np.array([0.5]), np.array([0.1]), np.array([2.0]), -1.0)
    values = np.linspace(0, 1, 7)[:, None]
    assert np.allclose(model.rescaled(0.5, 0.3).logit(values), 0.5 * model.logit(values) + 0.3)


def test_a_pose_loses_pixels_to_better_ones():
    pixels = [range(8), range(6), range(8, 16)]
    scene = candidates(np.zeros((3, 2)), [0, 0, 0], pixels=pixels, domain="bin")
    seen = Pixels(scene)
    found = instances(scene, seen, np.array([0.9, 0.8, 0.1]))
    assert [found[i][0] for i in stand(scene, seen, found)] == [0, 2]


def test_other_poses_of_an_instance_compete_and_equal_ones_do_not():
    scene = candidates(np.zeros((3, 2)), [0.01, 0.02, 0.5], pixels=[range(8)] * 3)
    alone = np.array([0.5, 0.5, 0.5])
    assert groups(scene, Pixels(scene), alone) == [[0, 1, 2]]
    assert instances(scene, Pixels(scene), alone)[0][1] == pytest.approx(1 / 4)
    scene.equal[0, 1] = scene.equal[1, 0] = True
    assert groups(scene, Pixels(scene), alone) == [[0, 2]]
    assert instances(scene, Pixels(scene), alone)[0][1] == pytest.approx(1 / 3)


def test_one_pose_of_an_instance_counts_and_a_hidden_instance_counts_neither_way():
    pixels = [range(4), range(4, 8), range(8, 12), range(12, 16)]
    errors, domain = [0.01, 0.02, 0.5, 0.03], "bin"
    scene = candidates(np.zeros((4, 2)), errors, [0, 0, -1, 1], pixels, domain)
    scene.visibility[1] = 0.05
    seen = Pixels(scene)
    found = standing([scene], [seen], [instances(scene, seen, np.array([0.9, 0.8, 0.7, 0.6]))])
    assert found.right.tolist() == [True, False, False]
    assert found.positives == 3  # the two instances without a candidate count, too
    recall, precision = found.at(0.75)
    assert (recall.count, precision.count, precision.total) == (1, 1, 2)


def test_a_scene_is_judged_by_a_fit_on_other_catalogues():
    rng, scenes = np.random.default_rng(0), []
    for index in range(6):
        values, right = drawn(rng, 40, (2.0, 1.0), -1.0)
        name = f"mug_{100 * (index % 2)}"
        scenes.append(candidates(values, np.where(right, 0.05, 0.5), name=name))
    models = left_out(Scenes.of(scenes, ("fit", "contour")))
    assert models[0] is models[2] is models[4]
    assert models[1] is models[3] is models[5]
    alone = fit(Scenes.of(scenes[1::2], ("fit", "contour")))
    assert np.allclose(models[0].weights, alone.weights)


def test_path_traced_scenes_are_fitted_on_and_left_out_by_data_set(tmp_path):
    folder = tmp_path / "candidates"
    for index, kind in enumerate(("my_bin", "tables")):
        scene = candidates(np.zeros((2, 2)), [0.01, 0.5], domain=kind, name="gear")
        save_candidates(folder / f"traced_{kind}_{index}.npz", scene)
    found = judge.read(tmp_path, "traced")
    assert list(judge.by_domain(found)) == ["traced bin", "traced table"]
    assert [catalogue_of(scene) for scene in found] == ["traced bin my_bin", "traced table tables"]


def test_labels_agree_with_the_evaluation():
    scene = make_scene(0, targets=["soup_can", "mug"])
    rng = np.random.default_rng(0)
    for model, instance in zip(scene.objects, scene.ground_truth, strict=True):
        error = PoseError(model)
        for size in (0.01, 0.1, 0.3):
            step = np.append(0.1 * size * rng.normal(size=3), size * rng.normal(size=3))
            pose = instance.cam_from_obj @ se3.exp(step)
            exact = catalogue.right_error(pose, instance.cam_from_obj, model)
            assert error(pose, instance.cam_from_obj) == pytest.approx(exact, abs=0.01)


def test_the_nearest_instance_of_the_same_name_is_the_label():
    scene = make_scene(0, targets=["mug"])
    true = scene.ground_truth[0].cam_from_obj
    aside = true.copy()
    aside[0, 3] += 0.05
    truth = [Truth("can", true, 1.0), Truth("mug", aside, 1.0), Truth("mug", true, 1.0)]
    error = PoseError(scene.objects[0])
    assert nearest(true, "mug", truth, error) == (pytest.approx(0, abs=1e-9), 2)
    assert nearest(true, "bowl", truth, error) == (np.inf, -1)
    assert nearest(true, "mug", [], error) == (np.inf, -1)


def test_candidates_survive_their_file(tmp_path):
    scene = candidates(np.random.default_rng(0).random((3, 2)), [0.01, 0.2, np.inf])
    save_candidates(tmp_path / "a.npz", scene)
    again = load_candidates(tmp_path / "a.npz")
    for name, value in vars(scene).items():
        assert np.array_equal(getattr(again, name), value), name


def test_the_command_writes_a_small_calibrated_judge(tmp_path, capsys):
    rng = np.random.default_rng(2)
    for split in ("train", "validation", "test"):
        for index in range(30):
            values, right = drawn(rng, 40, (2.0, 1.0), -1.0)
            pixels = [range(4 * (k % 4), 4 * (k % 4) + 4) for k in range(40)]
            errors, name = np.where(right, 0.05, 0.5), f"mug_{100 * (index % 3)}"
            scene = candidates(values, errors, pixels=pixels, domain="bin", name=name)
            save_candidates(tmp_path / "candidates" / f"{split}_bin_{index:04d}.npz", scene)
    path, features = tmp_path / "judge.json", ["fit", "contour", "score"]
    png = tmp_path / "diagram.png"
    words = [str(tmp_path), "--judge", str(path), "--diagram", str(png), "--features", *features]
    assert judge.main(words) == 0
    assert cv2.imread(str(png)).std() > 10
    written = json.loads(path.read_text())
    assert len(path.read_bytes()) < 4096
    assert written["features"] == features
    assert written["trained_on"] == {"bin": 30}
    assert written["turns"]["columns"] == list(COLUMNS)
    assert written["turns"]["weights"][0] > 0  # of the log odds
    assert written["instances"]["features"] == list(SURROUNDINGS)
    assert read_instance_judge(path.read_text()).weights[0] > 0  # of the log odds
    assert "| test bin | 30 |" in capsys.readouterr().out


def test_the_judge_of_poses_is_kept_on_request(tmp_path, capsys):
    rng, folder = np.random.default_rng(3), tmp_path / "candidates"
    for index in range(6):
        values, right = drawn(rng, 40, (2.0, 1.0), -1.0)
        errors, name = np.where(right, 0.05, 0.5), f"mug_{100 * (index % 3)}"
        pixels = [range(4 * (k % 4), 4 * (k % 4) + 4) for k in range(40)]
        scene = candidates(values, errors, pixels=pixels, domain="bin", name=name)
        save_candidates(folder / f"train_bin_{index:04d}.npz", scene)
    path = tmp_path / "judge.json"
    words = [str(tmp_path), "--judge", str(path)]
    assert judge.main([*words, "--features", "fit", "contour"]) == 0
    first = json.loads(path.read_text())
    path.write_text(json.dumps({**first, "bias": -3.0}))
    assert judge.main([*words, "--keep-poses"]) == 0
    second = json.loads(path.read_text())
    poses = ("features", "mean", "scale", "weights", "trained_on")
    assert second["bias"] == -3.0
    assert all(second[key] == first[key] for key in poses)
    assert second["instances"] != first["instances"]
    capsys.readouterr()


def test_the_model_card_states_the_scenes_of_the_shipped_judges():
    shipped = json.loads(judge.JUDGE.read_text())
    card = judge.JUDGE.with_suffix(".md").read_text()
    kinds = ("table", "heap", "bin", "traced table", "traced bin")
    poses, instances = shipped["trained_on"], shipped["instances"]["trained_on"]
    assert f"| one pose | {' | '.join(str(poses.get(kind, '–')) for kind in kinds)} |" in card
    counts = " | ".join(str(instances[kind]) for kind in kinds)
    assert f"| shares of the poses, instance | {counts} |" in card
