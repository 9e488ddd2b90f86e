"""Objects by name: upload, use, replace, delete, and what a restart restores."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import trimesh
from PIL import Image
from support.http_server import serving, settings_for

from sam6d_ros.apps.http.schemas.common import CadUnit
from sam6d_ros.apps.http.settings import PEM, Limits
from sam6d_ros.cad.units import UNITS

OBJECTS, PIPELINE = "/api/v1/objects", "/api/v1/full_pipeline"


@pytest.fixture
def mesh(sample) -> bytes:
    return Path(sample["cad_path"]).read_bytes()


@pytest.fixture
def named(sample):
    return {key: value for key, value in sample.items() if key != "cad_path"}


def upload(client, mesh, name="carton", query="", **fields):
    files = [("mesh", ("box.ply", mesh))]
    return client.post(OBJECTS + query, data={"name": name, "unit": "mm", **fields}, files=files)


def test_an_uploaded_object_is_found_by_name(served, mesh, named):
    answer = upload(served.pem, mesh)
    assert answer.status_code == 201, answer.text
    made = answer.json()["object"]
    assert made["uploaded"] is True
    assert made["diameter_m"] == pytest.approx(0.219, abs=0.001)
    assert "carton" in [item["name"] for item in served.pem.get(OBJECTS).json()["objects"]]
    body = {**named, "object": "carton"}
    found = served.pem.post(PIPELINE, json=body).raise_for_status().json()["pem_result"]
    assert [pose["name"] for pose in found["poses"]] == ["carton"]
    again = upload(served.pem, mesh)
    assert again.status_code == 422
    assert "replace=true" in again.json()["error_message"]
    assert upload(served.pem, mesh, query="?replace=true").status_code == 201
    assert served.pem.get(f"{OBJECTS}/carton/mesh").content.startswith(b"ply")
    assert served.pem.delete(f"{OBJECTS}/carton").status_code == 200
    assert served.pem.post(PIPELINE, json=body).status_code == 404
    assert served.pem.delete(f"{OBJECTS}/carton").status_code == 404


def test_several_objects_in_one_request(served, mesh, named):
    upload(served.pem, mesh, "carton_a")
    ball = trimesh.creation.icosphere(radius=35.0).export(file_type="ply")
    upload(served.pem, ball, "ball")
    try:
        body = {**named, "object": ["ball", "carton_a"]}
        ism = served.ism.post("/api/v1/inference", json=body).raise_for_status().json()
        assert {"carton_a"} <= set(ism["detections"]["names"])
        index = ism["detections"]["names"].index("carton_a")
        assert ism["detections"]["object_ids"][index] == 1
        pem = served.pem.post(
            "/api/v1/pose_estimation", json={**body, "detections": ism["detections"]}
        )
        assert "carton_a" in [pose["name"] for pose in pem.raise_for_status().json()["poses"]]
        unnamed = served.pem.post("/api/v1/pose_estimation", json=body)
        assert unnamed.status_code == 422
        assert "object_ids" in unnamed.json()["error_message"]
    finally:
        for name in ("carton_a", "ball"):
            served.pem.delete(f"{OBJECTS}/{name}")


def test_grasps_come_on_request(served, sample):
    body = {**sample, "grasps": True}
    poses = served.pem.post("/api/v1/pose_estimation", json=body).raise_for_status().json()["poses"]
    grasp = poses[0]["grasps"][0]
    assert 0 < grasp["width"] < 0.2
    assert len(grasp["cam_from_grip"]) == 4


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "a..b"])
def test_names_that_are_refused(served, mesh, name):
    assert upload(served.pem, mesh, name).status_code == 422


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ([("box.exe", b"MZ")], "meshes"),
        ([("a.ply", b"ply"), ("b.ply", b"ply")], "2 meshes"),
        ([("box.ply", b"ply"), ("x.sh", b"rm")], "x.sh"),
        ([("box.ply", b"not a mesh")], "box"),
        ([("box.ply", b"")], "empty"),
    ],
)
def test_uploads_that_are_refused_leave_nothing(served, files, word):
    before = set(served.services.store.folder.glob("*"))
    answer = served.pem.post(
        OBJECTS, data={"name": "bad"}, files=[("mesh", file) for file in files]
    )
    assert answer.status_code == 422
    assert word in answer.json()["error_message"]
    assert set(served.services.store.folder.glob("*")) == before


def test_a_mesh_that_is_too_large_is_refused(http_cache, mesh):
    limits = Limits(mesh_bytes=1000)
    with serving(settings_for(http_cache, role=PEM, limits=limits)) as server:
        assert upload(server.pem, mesh).status_code == 413


def test_uploads_outlive_the_server(http_cache, tmp_path, mesh, named):
    settings = settings_for(http_cache, role=PEM, data_dir=tmp_path / "served")
    with serving(settings) as server:
        upload(server.pem, mesh, options="min_score: 0.3").raise_for_status()
        upload(server.pem, mesh, "second").raise_for_status()
    for stored in (tmp_path / "served").glob("second-*/box.ply"):
        stored.write_bytes(b"damaged")
    with serving(settings) as server:
        listed = server.pem.get(OBJECTS).json()["objects"]
        assert [item["name"] for item in listed] == ["carton"]
        assert server.services.host.objects.settings["carton"].min_score == 0.3
        assert server.pem.post(PIPELINE, json={**named, "object": "carton"}).status_code == 200


def test_a_cad_file_used_longest_ago_is_dropped(http_cache, tmp_path, sample, mesh):
    limits = Limits(objects=2)
    settings = settings_for(http_cache, role=PEM, roots=(tmp_path,), limits=limits)
    with serving(settings) as server:
        for index in range(3):
            size = 60 + 20 * index
            data = trimesh.creation.box((size, 40, 100)).export(file_type="ply")
            (tmp_path / f"box{index}.ply").write_bytes(data)
            body = {**sample, "cad_path": str(tmp_path / f"box{index}.ply"), "cad_unit": "mm"}
            server.pem.post("/api/v1/pose_estimation", json=body).raise_for_status()
        assert list(server.services.host.objects.models) == ["box1", "box2"]


def test_files_of_one_name_are_told_apart_by_content(http_cache, tmp_path, sample, mesh):
    settings = settings_for(http_cache, role=PEM, roots=(tmp_path,))
    with serving(settings) as server:
        for folder, size in (("a", 60), ("b", 90)):
            path = tmp_path / folder / "box.ply"
            path.parent.mkdir()
            path.write_bytes(trimesh.creation.box((size, 40, 100)).export(file_type="ply"))
            body = {**sample, "cad_path": str(path), "cad_unit": "mm"}
            server.pem.post("/api/v1/pose_estimation", json=body).raise_for_status()
        sizes = {
            round(max(model.box_size), 3) for model in server.services.host.objects.models.values()
        }
        assert len(server.services.host.objects.models) == 2
        assert sizes == {0.1}


def test_requests_take_the_units_of_the_core():
    assert get_args(CadUnit) == UNITS


def test_an_uploaded_object_is_not_hidden_by_a_cad_file_of_its_name(http_cache, tmp_path, sample):
    """Same name and same content: they stay two objects."""
    data = trimesh.creation.box((60, 40, 100)).export(file_type="ply")
    path = tmp_path / "box2.ply"
    path.write_bytes(data)
    settings = settings_for(http_cache, role=PEM, roots=(tmp_path,), limits=Limits(objects=1))
    with serving(settings) as server:
        upload(server.pem, data, "box2").raise_for_status()
        body = {**sample, "cad_path": str(path), "cad_unit": "mm"}
        server.pem.post("/api/v1/pose_estimation", json=body).raise_for_status()
        assert [o["name"] for o in server.pem.get(OBJECTS).json()["objects"]] == ["box2"]
        server.pem.post("/api/v1/pose_estimation", json=sample).raise_for_status()  # evicts it
        assert server.pem.get(f"{OBJECTS}/box2").status_code == 200


def test_the_name_of_a_cad_file_may_be_uploaded(http_cache, tmp_path, sample, mesh):
    with serving(settings_for(http_cache, role=PEM, data_dir=tmp_path)) as server:
        server.pem.post("/api/v1/pose_estimation", json=sample).raise_for_status()
        assert upload(server.pem, mesh, "tea_box").status_code == 201
        assert [o["name"] for o in server.pem.get(OBJECTS).json()["objects"]] == ["tea_box"]
        server.pem.post("/api/v1/pose_estimation", json=sample).raise_for_status()


def test_a_mask_of_another_object_is_refused_by_name(served, sample):
    body = {**sample, "detections": {**sample["detections"], "names": ["spoon"]}}
    answer = served.pem.post("/api/v1/pose_estimation", json=body)
    assert answer.status_code == 422
    assert "'spoon'" in answer.json()["error_message"]


def test_a_repainted_texture_makes_another_object(http_cache, tmp_path, sample):
    box = trimesh.creation.box((60, 40, 100))
    corners = "".join(f"v {x} {y} {z}\n" for x, y, z in box.vertices)
    faces = "".join(f"f {a}/1 {b}/2 {c}/3\n" for a, b, c in box.faces + 1)
    coordinates = "vt 0 0\nvt 1 0\nvt 0 1\n"
    (tmp_path / "box.obj").write_text(f"mtllib a.mtl\n{corners}{coordinates}usemtl a\n{faces}")
    (tmp_path / "a.mtl").write_text("newmtl a\nmap_Kd my skin.png\n")
    body = {**sample, "cad_path": str(tmp_path / "box.obj"), "cad_unit": "mm"}
    with serving(settings_for(http_cache, role=PEM, roots=(tmp_path,))) as server:
        for rgb, edge in (((200, 30, 30), 4), ((30, 30, 200), 8)):
            Image.new("RGB", (edge, edge), rgb).save(tmp_path / "my skin.png")
            server.pem.post("/api/v1/pose_estimation", json=body).raise_for_status()
        colors = [
            model.colors[0].tolist() for model in server.services.host.objects.models.values()
        ]
    assert colors == [[200, 30, 30], [30, 30, 200]]


def test_an_upload_is_onboarded_once(served, mesh, monkeypatch):
    """The engine takes the model that was read confined; it does not read the file again."""
    from sam6d_ros.runtime import objects

    monkeypatch.setattr(objects, "load_entry", lambda *_: pytest.fail("it was read again"))
    try:
        assert upload(served.pem, mesh, "once", options="min_score: 0.25").status_code == 201
        assert served.services.host.objects.settings["once"].min_score == 0.25
    finally:
        served.pem.delete(f"{OBJECTS}/once")
