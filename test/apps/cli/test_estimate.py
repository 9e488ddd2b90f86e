"""`sam6d estimate`: what it writes, and one clear line for every kind of bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from support.bop_folder import CAMERA, POSES, dump, models
from support.tiny_detector import write_fixed

from sam6d_ros.apps.cli.estimate_results import ambiguous_lines
from sam6d_ros.geometry import se3
from sam6d_ros.types import Alternative, PoseEstimate, PoseEstimates


@pytest.fixture
def command(scene, tmp_path):
    """Arguments that work; a test replaces some of them."""
    return {
        "--rgb": scene / "rgb/000007.png",
        "--depth": scene / "depth/000007.png",
        "--camera": scene / "scene_camera.json",
        "--cad": scene.parents[1] / "models/obj_000001.ply",
        "--cad-unit": "mm",
        "--out": tmp_path / "out",
    }


def flat(command, *more):
    return ["estimate", *(word for pair in command.items() for word in pair), *more]


def test_the_pose_is_written_with_everything_a_user_needs(sam6d, command, tmp_path):
    code, out, _ = sam6d(*flat(command))
    assert code == 0
    assert "obj_000001" in out
    values = json.loads((tmp_path / "out/poses.json").read_text())
    (pose,) = values["poses"]
    assert pose["name"] == "obj_000001"
    assert 0 <= pose["score"] <= 1
    assert np.array(pose["R"]) == pytest.approx(POSES[1][:3, :3])
    assert pose["t"] == pytest.approx(POSES[1][:3, 3])
    again = se3.from_quat_xyzw_translation(pose["quat_xyzw"], pose["t"])
    assert again == pytest.approx(POSES[1])
    assert pose["box"]["center"] == pytest.approx(POSES[1][:3, 3])
    assert sorted(pose["box"]["size"]) == pytest.approx([0.08, 0.12, 0.16])
    mask = coco_mask.decode(pose["mask"]).astype(bool)
    assert np.array_equal(mask, models()[1].scene.render(CAMERA, POSES[1]).mask)
    x, y, width, height = pose["bbox_xywh"]
    rows, cols = np.nonzero(mask)
    assert (x, y) == (cols.min(), rows.min())
    assert (x + width - 1, y + height - 1) == (cols.max(), rows.max())
    assert values["timings_s"]["total"] > 0
    assert values["camera"]["K"] == CAMERA.matrix.ravel().tolist()


def test_without_a_folder_stdout_has_the_poses_as_json_and_nothing_else(sam6d, command, tmp_path):
    sam6d(*flat(command))
    del command["--out"]
    code, out, _ = sam6d(*flat(command))
    assert code == 0
    written = json.loads((tmp_path / "out/poses.json").read_text())
    assert json.loads(out)["poses"] == written["poses"]


def test_an_empty_result_without_a_folder_is_json_too(sam6d, command, stages):
    stages.poses = {"obj_000001": None}
    del command["--out"]
    code, out, err = sam6d(*flat(command))
    assert code == 3
    assert json.loads(out)["poses"] == []
    assert "nothing found" in err


def test_debug_pictures_need_a_folder(sam6d, command):
    del command["--out"]
    code, out, err = sam6d(*flat(command, "--debug"))
    assert (code, out) == (2, "")
    assert "--out" in err


def test_the_overlay_differs_from_the_image_around_the_object_only(sam6d, command, tmp_path):
    sam6d(*flat(command))
    image = cv2.imread(str(command["--rgb"])).astype(int)
    overlay = cv2.imread(str(tmp_path / "out/overlay.png")).astype(int)
    changed = np.abs(overlay - image).sum(axis=2) > 60
    mask = models()[1].scene.render(CAMERA, POSES[1]).mask
    edge = mask ^ cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert changed[edge].mean() > 0.8, "the contour is drawn"
    far = cv2.dilate(mask.astype(np.uint8), np.ones((41, 41))) == 0
    far[: int(np.nonzero(mask)[0].min())] = False  # the label may stand above
    assert not changed[far].any()


def test_several_objects_are_found_at_once(sam6d, command, stages, tmp_path):
    more = command["--cad"].with_name("obj_000005.ply")
    code, _, _ = sam6d(*flat(command, "--cad", more))
    assert code == 0
    assert stages.asked[-1] == ["obj_000001", "obj_000005"]
    poses = json.loads((tmp_path / "out/poses.json").read_text())["poses"]
    assert [pose["name"] for pose in poses] == ["obj_000001", "obj_000005"]


def test_the_debug_folder_names_every_picture_in_it(sam6d, command, tmp_path):
    sam6d(*flat(command, "--debug"))
    debug = tmp_path / "out/debug"
    pictures = {path.name for path in debug.glob("*.png")}
    expected = {"proposals.png", "detections.png", "candidates.png", "depth_0_obj_000001.png"}
    assert pictures == expected
    index = (debug / "index.md").read_text()
    for name in pictures:
        assert name in index, name
        assert cv2.imread(str(debug / name)) is not None


@pytest.mark.sam6d
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_objects_are_searched_in_the_boxes_of_their_classes(sam6d, command, scene, tmp_path):
    """Object 1 is the left box of the picture; "person" is no object."""
    boxes = [("cup", 20, 30, 90, 90), ("person", 0, 0, 30, 40), ("person", 9, 9, 30, 40)]
    write_fixed(tmp_path / "detector", boxes)
    entries = [
        {"name": name, "mesh": f"obj_{i:06d}.ply", "unit": "mm", "detector_classes": [label]}
        for name, i, label in (("obj_000001", 1, "cup"), ("obj_000005", 5, "person"))
    ]
    objects = scene.parents[1] / "models/objects.yaml"
    objects.write_text(json.dumps({"objects": entries[:1]}))
    given = {k: v for k, v in command.items() if "--cad" not in k} | {"--objects": objects}
    more = ["--detector", tmp_path / "detector", "--debug"]
    code, _, err = sam6d(*flat(given, *more))
    assert code == 0
    assert "note: 2 boxes of class 'person', which no object has" in err
    assert cv2.imread(str(tmp_path / "out/debug/boxes.png")) is not None
    objects.write_text(json.dumps({"objects": entries}))  # the right one is in no box
    sam6d(*flat(given, *more))
    poses = json.loads((tmp_path / "out/poses.json").read_text())["poses"]
    assert [pose["name"] for pose in poses] == ["obj_000001"]
    code, _, err = sam6d(*flat(given, "--detector", tmp_path / "none"))
    assert code == 2
    assert "no detector at" in err


def test_a_rejected_pose_is_written_and_printed_with_its_threshold(
    sam6d, command, stages, tmp_path
):
    more = command["--cad"].with_name("obj_000005.ply")
    stages.scores = {"obj_000005": 0.2}
    code, out, _ = sam6d(*flat(command, "--cad", more, "--min-score", "0.25"))
    assert code == 0
    (rejected,) = json.loads((tmp_path / "out/poses.json").read_text())["rejected"]
    assert rejected["name"] == "obj_000005"
    assert rejected["reason"] == "scores 0.20; min_score is 0.25"
    assert f"rejected: {rejected['instance_id']}: scores 0.20; min_score is 0.25" in out


def test_a_probable_alternative_is_printed():
    likely, unlikely = (Alternative("mug", np.eye(4), value) for value in (0.4, 0.05))
    pose = PoseEstimate("mug", 0.5, np.eye(4), instance_id="mug_0", alternatives=(likely, unlikely))
    items = (pose, replace(pose, instance_id="mug_1", alternatives=(unlikely,)))
    (line,) = ambiguous_lines(PoseEstimates(items, stamp_ns=0, frame_id="cam"))
    assert line.startswith("ambiguous: mug_0: another pose of mug has the probability 0.40; see")


def test_nothing_found_is_an_exit_code_and_a_reason(sam6d, command, stages, tmp_path):
    stages.poses["obj_000001"] = None
    code, out, _ = sam6d(*flat(command, "--debug"))
    assert code == 3
    assert "no region looks like an object" in out
    values = json.loads((tmp_path / "out/poses.json").read_text())
    assert values["poses"] == []
    assert values["reason"] == "no region looks like an object"
    assert "no region looks like an object" in (tmp_path / "out/debug/index.md").read_text()


def test_an_object_partly_behind_the_camera_can_be_drawn(sam6d, command, stages):
    stages.poses["obj_000001"] = se3.exp([0, 0, 0.05, 0.3, 0, 0])
    assert sam6d(*flat(command, "--debug"))[0] == 0


def test_depth_in_metres_as_an_array_gives_the_same(sam6d, command, tmp_path):
    depth = cv2.imread(str(command["--depth"]), cv2.IMREAD_UNCHANGED) * 1e-4
    depth[:2] = np.nan
    np.save(tmp_path / "depth.npy", depth)
    command["--depth"] = tmp_path / "depth.npy"
    assert sam6d(*flat(command))[0] == 0


def bad(name, words, **changes):
    return pytest.param(changes, words, id=name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        bad("no colour image", ["colour image", "does not exist"], **{"--rgb": "nowhere.png"}),
        bad("no depth image", ["depth image", "does not exist"], **{"--depth": "nowhere.png"}),
        bad("no camera", ["camera file", "does not exist"], **{"--camera": "nowhere.json"}),
        bad("no mesh", ["nowhere.ply", "does not exist"], **{"--cad": "nowhere.ply"}),
        bad("colour as depth", ["swapped"], **{"--depth": "{scene}/rgb/000007.png"}),
        bad("8-bit depth", ["uint8", "16-bit"], **{"--depth": "{tmp}/grey.png"}),
        bad("other size", ["registered"], **{"--depth": "{tmp}/small.png"}),
        bad(
            "camera of another size",
            ["principal point", "320×240"],
            **{"--camera": "{tmp}/big.json"},
        ),
        bad("uncalibrated camera", ["focal lengths"], **{"--camera": "{tmp}/zeros.yaml"}),
        bad("NaN camera", ["not finite"], **{"--camera": "{tmp}/nan.yaml"}),
        bad("camera of something else", ["expected cam_K"], **{"--camera": "{tmp}/other.json"}),
        bad("damaged camera", ["neither JSON nor YAML"], **{"--camera": "{tmp}/broken.json"}),
        bad("no such image", ["no image id 99", "7, 12"], **{"--image-id": "99"}),
        bad("depth in metres read as if ×1000", ["millimetres"], **{"--depth-scale": "1000"}),
        bad("negative depth scale", ["positive"], **{"--depth-scale": "-1"}),
        bad("score out of range", ["min_score"], **{"--min-score": "30"}),
        bad("no instances", ["max_instances"], **{"--max-instances": "0"}),
        bad("millimetres as metres", ["in mm", "unit"], **{"--cad-unit": "m"}),
        bad("metres per unit", ["depth_scale", "millimetres"], **{"--depth-scale": "0.0005"}),
        bad("no mesh but text", ["broken.ply"], **{"--cad": "{tmp}/broken.ply"}),
    ],
)
def test_bad_input_is_one_clear_line(sam6d, command, scene, tmp_path, changes, words):
    write_bad_files(tmp_path)
    for key, value in changes.items():
        command[key] = value.format(scene=scene, tmp=tmp_path)
    code, _, err = sam6d(*flat(command))
    assert code == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("sam6d: ")
    for word in words:
        assert word in line, line
    assert not (tmp_path / "out").exists(), "nothing is written for bad input"


def write_bad_files(tmp):
    shape = (CAMERA.height, CAMERA.width)
    cv2.imwrite(str(tmp / "grey.png"), np.full(shape, 100, np.uint8))
    cv2.imwrite(str(tmp / "small.png"), np.full((60, 80), 1000, np.uint16))
    k = CAMERA.matrix.ravel().tolist()
    dump(tmp / "big.json", {"cam_K": k, "width": 320, "height": 240})
    dump(tmp / "other.json", {"resolution": 5})
    (tmp / "zeros.yaml").write_text(f"k: {[0.0] * 9}\n")
    (tmp / "nan.yaml").write_text("k: [.nan, 0, 1, 0, .nan, 1, 0, 0, 1]\n")
    (tmp / "broken.json").write_text('{"cam_K": [1, 2')
    (tmp / "broken.ply").write_text("this is no mesh\n")


def test_image_0_is_an_image_like_any_other(sam6d, command, scene, tmp_path):
    """The colour file is called 7; asked for is the camera of image 0."""
    cameras = json.loads((scene / "scene_camera.json").read_text())
    far_off = {**cameras["7"], "cam_K": [1.0, 0, -999, 0, 1, 0, 0, 0, 1]}
    dump(tmp_path / "cameras.json", {"0": cameras["7"], "7": far_off})
    command["--camera"], command["--image-id"] = tmp_path / "cameras.json", 0
    code, _, err = sam6d(*flat(command))
    assert code == 0, err


def test_meshes_of_ros_packages_are_found_without_ros(sam6d, command, tmp_path, monkeypatch):
    prefix, mesh = tmp_path / "install", Path(command.pop("--cad"))
    share = prefix / "share/parts"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/parts").touch()
    share.mkdir()
    (share / mesh.name).write_bytes(mesh.read_bytes())
    (tmp_path / "objects.yaml").write_text(
        f"objects:\n- {{name: {mesh.stem}, mesh: 'package://parts/{mesh.name}', unit: mm}}\n"
    )
    command["--objects"] = tmp_path / "objects.yaml"
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{prefix}")
    code, _, err = sam6d(*flat(command))
    assert code == 0, err
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nowhere")
    code, _, err = sam6d(*flat(command))
    assert code == 2
    assert "'parts' is not found (AMENT_PREFIX_PATH has no prefix with it)" in err


def test_no_object_at_all(sam6d, command):
    del command["--cad"]
    code, _, err = sam6d(*flat(command))
    assert code == 2
    assert "--cad" in err


def test_two_objects_of_one_name(sam6d, command):
    code, _, err = sam6d(*flat(command, "--cad", command["--cad"]))
    assert code == 2
    assert "objects file" in err
