"""Uploaded objects on the disk: several servers, refused uploads, limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import trimesh
from support.http_server import serving, settings_for

from sam6d_ros.apps.http.limits import Roots
from sam6d_ros.apps.http.objects.store import INDEX, ObjectStore, check_mesh
from sam6d_ros.apps.http.settings import PEM, Limits
from sam6d_ros.cad.object_entry import read_entry
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.errors import InvalidInput, InvalidMesh, InvalidObjects, TooLarge

MESH = trimesh.creation.box((0.06, 0.04, 0.1)).export(file_type="ply")


def store_of(folder, **limits):
    return ObjectStore(folder / "served", Limits(**limits), folder / "cache")


def put(store, name):
    path = store.receive(name, [("box.ply", MESH)])
    store.keep(read_entry(name, str(path), "m", ""))
    return path


def listed(store):
    return {entry.name for entry in read_objects_file(store.folder / INDEX)}


def test_two_servers_of_one_folder_keep_each_others_uploads(tmp_path):
    first, second = store_of(tmp_path), store_of(tmp_path)
    first.restore()
    second.restore()
    put(first, "a")
    put(second, "b")
    put(first, "c")
    assert listed(first) == {"a", "b", "c"}
    second.drop("b")
    assert listed(first) == {"a", "c"}
    assert set(store_of(tmp_path).restore().models) == {"a", "c"}


def test_an_object_that_was_not_restored_once_is_not_forgotten(tmp_path):
    store = store_of(tmp_path)
    path = put(store, "a")
    moved = path.rename(tmp_path / "elsewhere.ply")
    later = store_of(tmp_path)
    assert not later.restore().models
    put(later, "b")
    moved.rename(path)
    assert set(store_of(tmp_path).restore().models) == {"a", "b"}


@pytest.mark.parametrize(
    ("extra", "text"), [("..x.png", "unusable"), ("é" * 100 + ".png", "unusable")]
)
def test_a_refused_name_leaves_no_folder(tmp_path, extra, text):
    store = store_of(tmp_path)
    with pytest.raises(InvalidObjects, match=text):
        store.receive("a", [("box.ply", MESH), (extra, b"")])
    assert not [*tmp_path.glob("served/*")]


def test_files_of_one_name_are_refused(tmp_path):
    files = [("box.ply", MESH), ("a/t.png", b"1"), ("b/t.png", b"2")]
    with pytest.raises(InvalidObjects, match="two files of one name"):
        store_of(tmp_path).receive("a", files)


def test_the_number_and_the_bytes_of_uploads_are_limited(tmp_path):
    store = store_of(tmp_path, uploads=1)
    put(store, "a")
    put(store, "a")
    with pytest.raises(TooLarge, match="1 uploaded objects are kept"):
        put(store, "b")
    with pytest.raises(TooLarge, match="delete objects first"):
        put(store_of(tmp_path, upload_bytes=len(MESH) + 10), "b")


def test_a_folder_named_like_a_mesh_is_refused(tmp_path):
    (tmp_path / "dir.ply").mkdir()
    with pytest.raises(InvalidMesh, match="is no file"):
        check_mesh(tmp_path / "dir.ply", Limits())


@pytest.mark.parametrize("name", ["x" * 300, "\ud800"])
def test_paths_that_no_file_can_have_are_refused(tmp_path, name):
    roots = Roots.of([tmp_path])
    for check in (roots.readable, roots.writable):
        with pytest.raises(InvalidInput, match="cad_path"):
            check(f"{tmp_path}/{name}", "cad_path")


def test_of_two_uploads_of_one_name_at_once_one_is_refused(http_cache):
    def upload(server):
        data, files = {"name": "twice", "unit": "m"}, [("mesh", ("box.ply", MESH))]
        return server.pem.post("/api/v1/objects", data=data, files=files).status_code

    with serving(settings_for(http_cache, role=PEM)) as server, ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(upload, [server] * 4))
        assert codes == [201, 422, 422, 422]
        assert len([*server.services.store.folder.glob("twice-*")]) == 1


def test_two_files_of_one_name_in_one_form_are_refused(http_cache):
    files = [("mesh", ("box.ply", MESH)), ("mesh", ("t.png", b"1")), ("mesh", ("t.png", b"2"))]
    with serving(settings_for(http_cache, role=PEM)) as server:
        answer = server.pem.post("/api/v1/objects", data={"name": "a", "unit": "m"}, files=files)
        assert answer.status_code == 422
        assert "two files of one name" in answer.json()["error_message"]
