"""The grasp file: its entries are read, and wrong ones refused by name."""

import string
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.errors import InvalidGrasps
from sam6d_ros.geometry import se3
from sam6d_ros.grasps.grasp_entry import KEYS, GraspEntry
from sam6d_ros.grasps.grasp_file import read_grasp_file, stated_grasps
from sam6d_ros.runtime.warmup import box_model

REPO = Path(__file__).resolve().parents[2]
MAX_WIDTH = 0.08
HANDLE = {"name": "handle", "xyz": [0.1, 0.2, 0.3], "rpy": [0.1, 0.2, 0.3], "width": 0.02}


def write(folder: Path, content: object) -> Path:
    path = folder / "grasps.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def one(folder: Path, **keys: object) -> GraspEntry:
    """The entry that HANDLE with other keys makes; a key that is None is left out."""
    item = {key: value for key, value in {**HANDLE, **keys}.items() if value is not None}
    return read_grasp_file(write(folder, {"grasps": {"mug": [item]}}), MAX_WIDTH)["mug"][0]


def test_defaults(tmp_path):
    entry = one(tmp_path)
    assert (entry.grasp.name, entry.grasp.width) == ("handle", 0.02)
    assert (entry.grasp.score, entry.grasp.pregrasp, entry.symmetric) == (1.0, 0.1, False)


def test_a_pose_may_be_written_in_three_ways(tmp_path):
    rotation = Rotation.from_euler("xyz", HANDLE["rpy"])  # fixed axes, as in URDF
    expected = se3.from_rotation_translation(rotation.as_matrix(), HANDLE["xyz"])
    by_quaternion = one(tmp_path, rpy=None, quat_xyzw=rotation.as_quat().tolist())
    by_matrix = one(tmp_path, rpy=None, xyz=None, matrix=expected.ravel().tolist())
    by_rows = one(tmp_path, rpy=None, xyz=None, matrix=expected.tolist())
    for entry in (one(tmp_path), by_quaternion, by_matrix, by_rows):
        np.testing.assert_allclose(entry.grasp.obj_from_grip, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"name": ""}, r"grasps\.mug\[0\]\.name"),
        ({"name": 5}, r"\.name: is 5"),
        ({"width": None}, r"mug\[0\]\.width \(handle\): is None; expected metres"),
        ({"width": -0.1}, r"\.width.*0 or more"),
        ({"width": float("nan")}, r"\.width"),
        ({"width": True}, r"\.width"),
        ({"width": 0.081}, r"\.width.*is 0\.081; the gripper opens 0\.08"),
        ({"width": 20}, r"\.width.*below 1"),
        ({"score": 1.5}, r"\.score.*\[0, 1\]"),
        ({"pregrasp": "far"}, r"\.pregrasp.*metres"),
        ({"symmetric": "yes"}, r"\.symmetric.*true or false"),
        ({"rpy": None}, "has no pose; expected xyz with either quat_xyzw or rpy"),
        ({"quat_xyzw": [0, 0, 0, 1]}, "either quat_xyzw or rpy"),
        ({"xyz": None}, r"\.xyz.*expected 3 finite numbers"),
        ({"xyz": [1, 2]}, r"\.xyz.*expected 3"),
        ({"xyz": [1, 2, "a"]}, r"\.xyz.*expected 3"),
        ({"xyz": [55.0, 0, 40.0]}, r"\.xyz.*metres, not millimetres"),
        ({"rpy": [90, 0, 0]}, r"\.rpy.*radians"),
        ({"rpy": None, "quat_xyzw": [0, 0, 0, 2]}, r"\.quat_xyzw.*has length 2; expected 1"),
        ({"matrix": [1] * 16}, r"\.matrix.*whole pose"),
        ({"rpy": None, "xyz": None, "matrix": [1] * 16}, r"\.matrix.*no proper rotation"),
        ({"rpy": None, "xyz": None, "matrix": [1] * 12}, r"\.matrix.*16 finite"),
        (
            {"rpy": None, "xyz": None, "matrix": [*np.eye(4).ravel().tolist()[:15], 2]},
            r"\.matrix.*last row.*expected \[0, 0, 0, 1\]",
        ),
        ({"with": 0.2}, r"\.with.*unknown.*'width'"),
    ],
)
def test_wrong_values_are_refused_by_place(tmp_path, keys, reason):
    with pytest.raises(InvalidGrasps, match=reason) as caught:
        one(tmp_path, **keys)
    assert "grasps.yaml, grasps.mug[0]" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no map `grasps:`"),
        ("grasps: 5", "no map `grasps:`"),
        ("grasps: []", "no map `grasps:`"),
        ("grasps: {mug: 5}", "grasps.'mug': is 5; expected the name of an object"),
        ("grasps: {5: []}", "expected the name of an object"),
        ("grasps: {mug: [5]}", r"mug\[0\]: is 5; expected a map with name, pose and width"),
        ("grasps: {}\nobjects: []", "unknown keys"),
        ("grasps: {}}", "is not YAML"),
        ("\x00", "is not YAML"),
    ],
)
def test_wrong_files_are_refused(tmp_path, content, reason):
    with pytest.raises(InvalidGrasps, match=reason):
        read_grasp_file(write(tmp_path, content), MAX_WIDTH)


def test_a_name_that_is_there_twice_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(InvalidGrasps, match=r"mug\[1\]\.name \(handle\): is there twice"):
        read_grasp_file(write(tmp_path, {"grasps": {"mug": [HANDLE, HANDLE]}}), MAX_WIDTH)
    with pytest.raises(InvalidGrasps, match="cannot be read"):
        read_grasp_file(tmp_path / "gone.yaml", MAX_WIDTH)


def test_the_stated_grasps_of_an_object_come_best_first(tmp_path):
    items = [{**HANDLE, "name": str(score), "score": score} for score in (0.2, 0.9, 0.5)]
    file = read_grasp_file(write(tmp_path, {"grasps": {"warm_up_box": items}}), MAX_WIDTH)
    found = stated_grasps(file, box_model())
    assert [grasp.name for grasp in found.grasps] == ["0.9", "0.5", "0.2"]
    nothing = stated_grasps({}, box_model())
    assert nothing.grasps == ()
    assert nothing.reason


def test_a_symmetric_grasp_is_copied_around_the_axis_of_the_object(tmp_path):
    pose = {"xyz": [0.1, 0, 0.3], "rpy": [0, 0, 0], "width": 0.02}
    entry = one(tmp_path, **pose, symmetric=True)
    turns_about_z = Symmetries(axes=np.array([[[0, 0, 1.0], [0, 0, 0]]]))
    copies = entry.copies(turns_about_z)
    assert len(copies) == 12
    assert len({grasp.name for grasp in copies}) == 12
    positions = np.stack([grasp.obj_from_grip[:3, 3] for grasp in copies])
    np.testing.assert_allclose(np.linalg.norm(positions[:, :2], axis=1), 0.1)
    np.testing.assert_allclose(positions[:, 2], 0.3)
    for grasp in copies:  # x stays away from the axis
        outward = grasp.obj_from_grip[:3, 3] - [0, 0, 0.3]
        np.testing.assert_allclose(grasp.obj_from_grip[:3, 0], outward / 0.1, atol=1e-9)
    assert entry.copies(Symmetries()) == (entry.grasp,)
    assert one(tmp_path, **pose).copies(turns_about_z)[0].name == "handle"


def test_the_shipped_file_is_valid():
    assert read_grasp_file(REPO / "config/grasps.yaml", MAX_WIDTH) == {}


def test_the_example_of_the_shipped_file_is_valid(tmp_path):
    lines = (REPO / "config/grasps.yaml").read_text().splitlines()
    start = lines.index("# grasps:")
    example = "\n".join(line[2:] for line in lines[start:] if line.startswith("#"))
    assert set(read_grasp_file(write(tmp_path, example), MAX_WIDTH)) == {"mug", "bolt"}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.floats(-1, 1), min_size=3, max_size=4)
        | st.dictionaries(st.sampled_from([*KEYS, "other"]), inner, max_size=6)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plain, st.lists(st.dictionaries(st.sampled_from(KEYS), plain), max_size=2), st.text())
def test_nonsense_is_either_read_or_refused_by_our_own_error(tmp_path, anything, entries, junk):
    entries = [{**HANDLE, **entry} for entry in entries]
    for content in ({"grasps": anything}, {"grasps": {"mug": entries}}, junk):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        path = tmp_path / "grasps.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            file = read_grasp_file(path, MAX_WIDTH)
        except InvalidGrasps:
            continue  # any other error fails the test
        for entry in file.get("mug", ()):
            se3.check_rigid(entry.grasp.obj_from_grip)
            assert 0 <= entry.grasp.width <= MAX_WIDTH
