"""Viewers of `sam6d estimate`: a Rerun recording that is read back, and viser's page."""

from __future__ import annotations

import sys
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from support.bop_folder import CAMERA, POSES, models

from sam6d_ros.apps.cli import viewed_scene as module
from sam6d_ros.apps.cli import viewer_viser
from sam6d_ros.apps.cli.main import build_parser
from sam6d_ros.apps.cli.viewed_scene import viewed_scene
from sam6d_ros.apps.cli.viewer_rerun import write_recording
from sam6d_ros.apps.cli.viewer_viser import open_page
from sam6d_ros.apps.cli.viewers import show
from sam6d_ros.geometry import se3
from sam6d_ros.types import Alternative, Frame, PoseEstimate, PoseEstimates

TURNED = POSES[1] @ se3.exp([0, 0, 0, 0, 0, np.pi])


@pytest.fixture
def frame():
    rendered = models()[1].scene.render(CAMERA, POSES[1])
    rgb = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    rgb[rendered.mask] = (200, 10, 10)
    return Frame(rgb, rendered.depth, CAMERA)


@pytest.fixture
def result():
    """One pose with another one that the frame does not rule out."""
    name = models()[1].name
    pose = PoseEstimate(name, 0.9, POSES[1], alternatives=(Alternative(name, TURNED, 0.25),))
    return PoseEstimates((pose,), 0, "camera")


@pytest.fixture
def scene(frame, result):
    return viewed_scene(frame, result, {models()[1].name: models()[1]})


def test_the_scene_has_the_cloud_the_models_and_the_alternatives(scene, frame):
    assert len(scene.points) == np.count_nonzero(frame.depth)
    assert np.all(scene.point_colors == (200, 10, 10))
    np.testing.assert_allclose(scene.points[:, 2], frame.depth[frame.depth > 0])
    (pose,), (other,) = scene.poses, scene.alternatives
    assert (pose.path, pose.label) == ("poses/obj_000001_0", "obj_000001_0 0.90")
    assert other.path == "alternatives/obj_000001_0/1"
    assert other.label == "obj_000001, probability 0.25"
    np.testing.assert_array_equal(other.cam_from_obj, TURNED)
    assert len(pose.vertex_colors) == len(pose.model.vertices)


def test_a_large_cloud_is_thinned(monkeypatch, frame, result):
    monkeypatch.setattr(module, "MAX_POINTS", 100)
    scene = viewed_scene(frame, result, {models()[1].name: models()[1]})
    assert 50 < len(scene.points) <= 100


def columns(path):
    """Columns of a recording by entity."""
    from rerun.chunk import RrdReader

    found = {}
    for chunk in RrdReader(str(path)).stream():
        batch = chunk.to_record_batch()
        values = {n: batch.column(n).to_pylist() for n in batch.schema.names if ":" in n}
        found.setdefault(chunk.entity_path, {}).update(values)
    return found


def test_a_recording_has_frame_cloud_model_and_alternatives(scene, tmp_path):
    pytest.importorskip("rerun")
    path = tmp_path / "new" / "scene.rrd"
    write_recording(scene, path)
    content = columns(path)
    names = {"/camera", "/camera/image", "/depth", "/overlay", "/cloud"}
    assert names <= content.keys()
    ((positions,),) = [content["/cloud"]["Points3D:positions"]]
    np.testing.assert_allclose(positions, scene.points, rtol=1e-6)
    for entity, pose in (
        ("/poses/obj_000001_0", POSES[1]),
        ("/alternatives/obj_000001_0/1", TURNED),
    ):
        ((columnwise,),) = content[entity]["Transform3D:mat3x3"]
        ((translation,),) = content[entity]["Transform3D:translation"]
        np.testing.assert_allclose(np.reshape(columnwise, (3, 3)).T, pose[:3, :3], atol=1e-6)
        np.testing.assert_allclose(translation, pose[:3, 3], atol=1e-6)
        ((vertices),) = content[f"{entity}/mesh"]["Mesh3D:vertex_positions"]
        np.testing.assert_allclose(vertices, models()[1].vertices, atol=1e-6)
        assert content[f"{entity}/box"]["Boxes3D:labels"]


def test_the_command_writes_a_recording_beside_the_poses(sam6d, scene_files, tmp_path):
    pytest.importorskip("rerun")
    code, out, err = sam6d("estimate", *scene_files, "--rerun", tmp_path / "mug.rrd")
    assert code == 0
    assert out.startswith("{"), "JSON alone"
    assert f"rerun {tmp_path}/mug.rrd" in err
    assert "/poses/obj_000001_0/mesh" in columns(tmp_path / "mug.rrd")


@pytest.fixture
def scene_files(folder):
    """Options of `sam6d estimate` that work."""
    root = folder.write()
    files = root / "test" / "000003"
    return [
        *("--rgb", files / "rgb/000007.png", "--depth", files / "depth/000007.png"),
        *("--camera", files / "scene_camera.json"),
        *("--cad", root / "models/obj_000001.ply", "--cad-unit", "mm"),
    ]


@pytest.mark.parametrize(("option", "library"), [("--rerun=x.rrd", "rerun"), ("--viser", "viser")])
def test_a_viewer_that_is_not_installed_is_named_before_the_search(
    sam6d, scene_files, monkeypatch, option, library
):
    monkeypatch.setitem(sys.modules, library, None)
    code, _, err = sam6d("estimate", *scene_files, option)
    assert code == 4
    assert f"pip install -e '.[{library}]'" in " ".join(err.split())


def test_viewers_are_for_one_frame(sam6d):
    code, _, err = sam6d("estimate", "--recording", "x", "--poses", "y", "--viser")
    assert code == 2
    assert "--viser cannot be used with --recording" in " ".join(err.split())


def test_the_page_of_viser_serves_the_scene(scene):
    pytest.importorskip("viser", reason="viser is not installed: pip install -e '.[viser]'")
    server = open_page(scene, port=18080)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.get_port()}/") as page:
            assert page.status == 200
        handles = server.scene._handle_from_node_name
        assert {"/cloud", "/camera", "/poses/obj_000001_0", "/poses/obj_000001_0/mesh"} <= set(
            handles
        )
        w, x, y, z = handles["/poses/obj_000001_0"].wxyz
        again = se3.from_quat_xyzw_translation((x, y, z, w), POSES[1][:3, 3])
        np.testing.assert_allclose(again, POSES[1], atol=1e-6)
        assert handles["/poses/obj_000001_0"].visible
        assert not handles["/alternatives/obj_000001_0/1"].visible
    finally:
        server.stop()


def test_ctrl_c_ends_the_page_and_the_command_goes_on(monkeypatch, frame, result):
    pytest.importorskip("viser", reason="viser is not installed: pip install -e '.[viser]'")
    args = build_parser().parse_args(["estimate", "--viser", "18090"])

    class Interrupted:
        def wait(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(viewer_viser, "threading", SimpleNamespace(Event=Interrupted))
    show(args, frame, result, {models()[1].name: models()[1]})
