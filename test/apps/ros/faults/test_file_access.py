"""Files that peers of the graph name by ``~/add_object``: folders, and what answers reveal."""

import pytest
import trimesh

from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.srv import AddObject


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An open folder and a closed one, a mesh in each, and a link from the open to the closed."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("open", "closed"):
        (folder / name).mkdir()
        trimesh.creation.box((0.1, 0.1, 0.2)).export(folder / name / "box.ply")
    (folder / "open/link.ply").symlink_to(folder / "closed/box.ply")
    (folder / "closed/box.mtl").write_text("newmtl a\nKd 1 0 0\n")
    text = "mtllib ../closed/box.mtl\n" + trimesh.creation.box((0.1, 0.1, 0.2)).export(
        file_type="obj"
    )
    (folder / "open/box.obj").write_text(text)
    return folder


@pytest.fixture(scope="module")
def confined(make_world, folders):
    """A pose node that reads from the open folder alone."""
    world = make_world()
    world.start_node("pose_node", object_roots=[str(folders / "open")], cache_dir=folders / "cache")
    world.probe.wait_ready("pose_node")
    client = world.probe.node.create_client(AddObject, "/pose_node/add_object")
    world.probe.wait_for(client.service_is_ready, "the service")

    def add(mesh, **more):
        request = AddObject.Request(name="box", mesh=str(folders / mesh), unit="m", **more)
        answer = client.call_async(request)
        world.probe.wait_for(answer.done, "the answer")
        return answer.result()

    return add


def test_answers_are_the_same_whether_a_file_outside_the_roots_exists_or_not(confined):
    outside = ("closed/box.ply", "closed/none.ply", "open/../closed/box.ply", "open/link.ply")
    answers = [confined(mesh) for mesh in outside]
    assert not any(answer.success for answer in answers)
    assert len({answer.message for answer in answers}) == 1
    assert "mesh is outside the folders of parameter object_roots" in answers[0].message


def test_templates_outside_the_roots_are_refused(confined, folders):
    answer = confined("open/box.ply", options=f"templates: {folders / 'closed'}")
    assert "templates is outside the folders" in answer.message


def test_materials_beside_other_meshes_are_not_opened(confined):
    answer = confined("open/box.obj")
    assert "outside its folder" in answer.message


def test_a_mesh_below_the_roots_is_added(confined):
    answer = confined("open/box.ply")
    assert answer.success, answer.message


def test_without_roots_the_answer_about_a_file_that_is_no_mesh_is_the_same(tmp_path):
    texts = []
    for exists in (False, True):
        path = tmp_path / "secret.key"
        if exists:
            path.write_text("secret")
        with pytest.raises(InvalidMesh, match="expected one of") as caught:
            load_mesh(path)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
