"""Reading CAD files: formats, colours, huge and broken ones."""

import logging
import struct

import numpy as np
import pytest
import trimesh
from support.meshes import BLUE, REAL, RED, textured_quad

from sam6d_ros.cad import decimation, mesh_files
from sam6d_ros.cad import mesh as mesh_module
from sam6d_ros.cad.decimation import decimate, thin
from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry.mesh import diameter, face_areas


def colored_box() -> trimesh.Trimesh:
    box = trimesh.creation.box((0.1, 0.2, 0.3))
    colors = np.where(box.vertices[:, 2:] > 0, RED, BLUE).astype(np.uint8)
    return trimesh.Trimesh(box.vertices, box.faces, vertex_colors=colors, process=False)


def color_at(mesh, sign: int) -> np.ndarray:
    return np.unique(mesh.colors[np.sign(mesh.vertices[:, 2]) == sign], axis=0)


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl", "glb"])
def test_formats_keep_the_shape(tmp_path, suffix):
    path = tmp_path / f"box.{suffix}"
    colored_box().export(path)
    mesh = load_mesh(path)
    assert face_areas(mesh.vertices, mesh.faces).sum() == pytest.approx(2 * (0.02 + 0.03 + 0.06))
    assert diameter(mesh.vertices) == pytest.approx(np.sqrt(0.14))
    assert mesh.faces.dtype == np.int32
    assert mesh.is_metric == (suffix == "glb")


@pytest.mark.parametrize("suffix", ["ply", "obj"])
def test_vertex_colours(tmp_path, suffix):
    path = tmp_path / f"box.{suffix}"
    colored_box().export(path)
    mesh = load_mesh(path)
    assert np.abs(color_at(mesh, 1).astype(int) - RED[:3]).max() <= 1
    assert np.abs(color_at(mesh, -1).astype(int) - BLUE[:3]).max() <= 1


def test_face_colours(tmp_path):
    box = trimesh.creation.box((0.1, 0.2, 0.3))
    up = box.face_normals[:, 2] > 0.5
    box.visual.face_colors = np.where(up[:, None], RED, BLUE).astype(np.uint8)
    (tmp_path / "box.ply").write_bytes(box.export(file_type="ply"))
    mesh = load_mesh(tmp_path / "box.ply")
    areas = face_areas(mesh.vertices, mesh.faces)
    red = (mesh.colors[mesh.faces] == RED[:3]).all((1, 2))
    assert areas[red].sum() == pytest.approx(0.02)
    assert (mesh.colors[mesh.faces[~red]] == BLUE[:3]).all()


def test_a_mesh_without_colours_has_none(tmp_path):
    for suffix in ("ply", "stl", "obj"):
        trimesh.creation.box((0.1, 0.2, 0.3)).export(tmp_path / f"box.{suffix}")
        assert load_mesh(tmp_path / f"box.{suffix}").colors is None, suffix


def test_a_texture_is_baked_finely_and_the_right_way_up(tmp_path):
    textured_quad(tmp_path)
    mesh = load_mesh(tmp_path / "quad.obj")
    x, y = mesh.vertices[:, 0], mesh.vertices[:, 1]
    corners = mesh.vertices[mesh.faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert edges.max() <= diameter(mesh.vertices) / 150 + 1e-9
    margin = 0.008  # two texels
    for where, color in (
        ((x < 0.1 - margin) & (y < 0.15 - margin), RED[:3]),
        ((x > 0.1 + margin) & (y < 0.15 - margin), BLUE[:3]),
        (y > 0.15 + margin, (255, 255, 255)),
    ):
        assert where.sum() > 100
        # the outermost texels are blended with the opposite side, as textures repeat
        inner = where & (x > margin) & (x < 0.2 - margin) & (y > margin) & (y < 0.2 - margin)
        assert np.abs(mesh.colors[inner].astype(int) - color).max() <= 2


def test_a_missing_texture_is_logged_and_leaves_no_colours(tmp_path, caplog):
    textured_quad(tmp_path, with_image=False)
    with caplog.at_level(logging.WARNING):
        mesh = load_mesh(tmp_path / "quad.obj")
    assert "print.png, which does not exist" in caplog.text
    assert mesh.colors is None or len(np.unique(mesh.colors, axis=0)) == 1


def test_glb_scene_graph_and_base_colours(tmp_path):
    scene = trimesh.Scene()
    for x, factor in ((0.0, [1.0, 0.0, 0.0, 1.0]), (0.5, [0.0, 0.0, 1.0, 1.0])):
        part = trimesh.creation.box((0.1, 0.1, 0.1))
        material = trimesh.visual.material.PBRMaterial(baseColorFactor=factor)
        part.visual = trimesh.visual.TextureVisuals(uv=np.zeros((8, 2)), material=material)
        scene.add_geometry(part, transform=trimesh.transformations.translation_matrix((x, 0, 0)))
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb")
    left = mesh.vertices[:, 0] < 0.25
    assert np.ptp(mesh.vertices[:, 0]) == pytest.approx(0.6)
    assert (mesh.colors[left] == (255, 0, 0)).all()
    assert (mesh.colors[~left] == (0, 0, 255)).all()


def test_parts_without_colours_become_grey_beside_coloured_ones(tmp_path):
    scene = trimesh.Scene([colored_box()])
    bare = trimesh.creation.icosphere(radius=0.02)
    scene.add_geometry(bare, transform=trimesh.transformations.translation_matrix((0.4, 0, 0)))
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb")
    assert len(np.unique(mesh.colors[mesh.vertices[:, 0] > 0.3], axis=0)) == 1


@pytest.mark.skipif(not REAL.is_dir(), reason="real data: ../shared/real is not there")
def test_the_textured_twin_of_a_scan_has_the_same_colours():
    from scipy.spatial import cKDTree

    textured = load_mesh(REAL / "ycbv/models/obj_000003.obj")
    colored = load_mesh(REAL / "ycbv/models/obj_000003.ply")
    assert len(textured.faces) > 100_000
    near = cKDTree(textured.vertices).query(colored.vertices)[1]
    difference = np.abs(textured.colors[near].astype(int) - colored.colors).mean(1)
    assert np.median(difference) < 12


def test_stray_vertices_and_flat_faces_are_dropped(tmp_path):
    box = colored_box()
    vertices = np.vstack([box.vertices, [[5.0, 5, 5]]])
    faces = np.vstack([box.faces, [[0, 0, 1]]])
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / "box.ply")
    mesh = load_mesh(tmp_path / "box.ply")
    assert (len(mesh.vertices), len(mesh.faces)) == (8, 12)


def ply(vertices: list[str], faces: list[str], count: int | None = None) -> bytes:
    lines = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(faces) if count is None else count}"]
    lines += ["property list uchar int vertex_indices", "end_header", *vertices, *faces]
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.ply", b"", "is empty"),
        ("noise.ply", b"not a mesh at all", "cannot be read as PLY"),
        ("noise.stl", bytes(range(256)) * 3, "STL|no geometry|degenerate"),
        ("noise.glb", b"glTF\x02\x00\x00\x00\xff\xff\xff\xff", "cannot be read as GLB"),
        ("noise.gltf", b"[1, 2]", "glTF|cannot be read"),
        ("noise.obj", b"v 1 2\nf x y z\n", "cannot be read as OBJ|no geometry"),
        ("step.step", b"ISO-10303-21;", "expected one of"),
        ("points.ply", ply(["0 0 0", "1 0 0", "0 1 0"], []), "point cloud of 3 points|no geometry"),
        ("line.ply", ply(["0 0 0", "1 0 0", "2 0 0"], ["3 0 1 2"]), "degenerate"),
        ("nan.ply", ply(["0 0 0", "nan 0 0", "0 1 0"], ["3 0 1 2"]), "1 vertices that are NaN"),
        ("index.ply", ply(["0 0 0", "1 0 0", "0 1 0"], ["3 0 1 9"]), "vertex 9|cannot be read"),
        ("giant.ply", ply(["0 0 0"], ["3 0 0 0"], 50_000_000), "50,000,000 faces.*Decimate"),
    ],
)
def test_unusable_files_are_refused_with_the_reason(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidMesh, match=reason) as caught:
        load_mesh(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidMesh, match="does not exist"):
        load_mesh(tmp_path / "gone.ply")


def test_faces_are_counted_from_the_header_alone(tmp_path):
    stl = tmp_path / "big.stl"
    with stl.open("wb") as file:  # sparse: takes no space on disk
        file.write(bytes(80) + struct.pack("<I", 21_000_000))
        file.truncate(84 + 50 * 21_000_000)
    assert mesh_files.count_faces(stl) == 21_000_000
    with pytest.raises(InvalidMesh, match="21,000,000 faces"):
        load_mesh(stl)
    huge = tmp_path / "big.obj"
    with huge.open("wb") as file:
        file.truncate(mesh_files.MAX_FILE_BYTES + 1)
    with pytest.raises(InvalidMesh, match="GiB can be"):
        load_mesh(huge)


def test_large_meshes_are_decimated_with_a_note(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(mesh_module, "MAX_FACES", 2000)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.05)  # 20480 faces
    colors = np.where(ball.vertices[:, 2:] > 0, RED, BLUE).astype(np.uint8)
    trimesh.Trimesh(ball.vertices, ball.faces, vertex_colors=colors).export(tmp_path / "ball.ply")
    with caplog.at_level(logging.WARNING):
        mesh = load_mesh(tmp_path / "ball.ply")
    assert 1000 < len(mesh.faces) <= 2000
    assert "decimated from 20,480" in mesh.note
    assert mesh.note in caplog.text
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.05).max() < 0.001
    assert (mesh.colors[mesh.vertices[:, 2] > 0.005] == RED[:3]).all()
    assert (mesh.colors[mesh.vertices[:, 2] < -0.005] == BLUE[:3]).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_decimation_does_not_depend_on_unit_or_place(scale):
    ball = trimesh.creation.icosphere(subdivisions=4, radius=scale)
    points, faces, _ = decimate(ball.vertices + 100 * scale, ball.faces, None, 800)
    assert len(faces) <= 800
    radius = np.linalg.norm(points - 100 * scale, axis=1)
    assert np.abs(radius / scale - 1).max() < 0.03


def test_thinning_moves_nothing_by_more_than_a_cell(monkeypatch):
    monkeypatch.setattr(decimation, "GRID_CELLS", 100)
    ball = trimesh.creation.icosphere(subdivisions=7, radius=1.0)  # 327,680 faces
    colors = np.where(ball.vertices[:, 2:] > 0, RED, BLUE).astype(np.uint8)[:, :3]
    points, faces, rgb = thin(ball.vertices + 5, ball.faces, colors)
    assert len(faces) < len(ball.faces)
    assert np.abs(np.linalg.norm(points - 5, axis=1) - 1).max() < 2 / 100
    assert face_areas(points, faces).sum() == pytest.approx(4 * np.pi, rel=0.02)
    assert (rgb[points[:, 2] > 5.03] == RED[:3]).all()


def test_companions_are_materials_and_textures(tmp_path):
    textured_quad(tmp_path)
    names = [path.name for path in mesh_files.companions(tmp_path / "quad.obj")]
    assert names == ["print.png", "quad.mtl"]
    assert mesh_files.companions(tmp_path / "print.png") == []


def test_binary_ply_texture_comment(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "a.ply").write_bytes(b"ply\ncomment TextureFile a.png\nend_header\n" + bytes(8))
    assert mesh_files.companions(tmp_path / "a.ply") == [tmp_path / "a.png"]
