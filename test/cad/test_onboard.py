"""Units, boxes, diameters, and the model that comes out."""

import json
import logging
import pickle

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation
from support.meshes import REAL, l_shape, mesh_of, textured_quad

from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.onboard import onboard, onboard_mesh
from sam6d_ros.cad.units import METRES_PER, decide_unit
from sam6d_ros.errors import InvalidDataset, InvalidMesh, InvalidObjects
from sam6d_ros.geometry import mesh as geometry
from sam6d_ros.geometry import se3


@pytest.mark.parametrize(
    ("raw", "unit"),
    [(0.01, "m"), (0.2, "m"), (2.0, "m"), (10.0, "mm"), (200.0, "mm"), (2000, "mm")],
)
def test_auto_takes_the_unit_in_which_it_is_an_object(raw, unit):
    found, note = decide_unit(raw)
    assert found == unit
    assert f"{raw:g}" in note


@pytest.mark.parametrize("raw", [1e-6, 0.009, 2.1, 5.0, 9.9, 2001, 1e6])
def test_auto_refuses_the_ambiguous_naming_both_sizes_and_the_remedy(raw):
    with pytest.raises(InvalidMesh, match="--cad-unit") as caught:
        decide_unit(raw)
    for unit, metres in METRES_PER.items():
        assert f"{raw * metres:.3g} m if in {unit}" in str(caught.value)


@given(st.floats(1e-9, 1e9))
def test_auto_either_gives_a_plausible_size_or_refuses(raw):
    try:
        unit, _ = decide_unit(raw)
    except InvalidMesh:
        return
    assert 0.01 <= raw * {"m": 1, "mm": 1e-3}[unit] <= 2.0


def test_gltf_is_metres_and_a_gltf_in_millimetres_is_refused():
    assert decide_unit(0.2, is_metric=True)[0] == "m"
    with pytest.raises(InvalidMesh, match="glTF is in metres"):
        decide_unit(200.0, is_metric=True)
    assert decide_unit(200.0, "mm", is_metric=True)[0] == "mm"


def test_a_stated_unit_wins_unless_absurd():
    assert decide_unit(5.0, "m")[0] == "m"
    assert decide_unit(5.0, "mm")[0] == "mm"
    with pytest.raises(InvalidMesh, match="too small"):
        decide_unit(0.2, "mm")
    with pytest.raises(InvalidMesh, match="too large"):
        decide_unit(200.0, "m")
    with pytest.raises(InvalidMesh, match="'yard' is unknown"):
        decide_unit(1.0, "yard")


@pytest.mark.parametrize(("unit", "metres"), [("cm", 0.01), ("inch", 0.0254), ("ft", 0.3048)])
def test_centimetres_inches_and_feet_are_units(tmp_path, unit, metres):
    l_shape().apply_scale(1 / metres).export(tmp_path / "part.stl")
    l_shape().export(tmp_path / "metres.stl")
    model = onboard(tmp_path / "part.stl", unit=unit)
    expected = onboard(tmp_path / "metres.stl", unit="m")
    assert model.diameter == pytest.approx(expected.diameter, rel=1e-5)
    assert (model.unit, model.is_unit_assumed) == (unit, False)
    assert f"{unit}, as given" in model.unit_note


def test_the_unit_does_not_change_the_model(tmp_path):
    metres = l_shape()
    metres.export(tmp_path / "metres.stl")
    metres.copy().apply_scale(1000).export(tmp_path / "millimetres.stl")
    a, b = (onboard(tmp_path / f"{name}.stl") for name in ("metres", "millimetres"))
    assert (a.name, b.name) == ("metres", "millimetres")
    assert a.diameter == pytest.approx(b.diameter, rel=1e-5)
    assert np.allclose(a.box_size, b.box_size, rtol=1e-5)
    assert np.allclose(a.vertices, b.vertices, atol=1e-6)
    assert "m, decided" in a.unit_note
    assert "mm, decided" in b.unit_note


def test_the_message_of_an_ambiguous_mesh_names_object_and_remedy(tmp_path):
    trimesh.creation.box((2.0, 2, 2)).export(tmp_path / "crate.ply")
    with pytest.raises(InvalidMesh, match=r"object 'crate'.*ambiguous.*--cad-unit"):
        onboard(tmp_path / "crate.ply")


@pytest.mark.parametrize("seed", range(4))
def test_the_diameter_is_exact(seed):
    points = np.random.default_rng(seed).normal(size=(400, 3))
    assert geometry.diameter(points) == pytest.approx(pdist(points).max(), rel=1e-12)


def test_the_diameter_of_many_hull_points_is_close(monkeypatch):
    points = np.random.default_rng(0).normal(size=(3000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    exact = geometry.diameter(points)
    monkeypatch.setattr(geometry, "MAX_HULL_PAIRS", 100)
    assert exact * (1 - 5e-4) <= geometry.diameter(points) <= exact


def test_flat_and_tiny_point_sets_have_a_diameter():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 0], [0.2, 0.3, 0]])
    assert geometry.diameter(square) == pytest.approx(np.sqrt(2))
    assert geometry.diameter(square[:2]) == 1.0
    assert geometry.diameter(np.outer(np.arange(9.0), [1, 2, 2])) == pytest.approx(24)


def corners_in_box(vertices: np.ndarray) -> np.ndarray:
    obj_from_box, size = geometry.bounding_box(vertices)
    inside = se3.transform(se3.inverse(obj_from_box), vertices)
    return np.abs(inside) / (size / 2)


def test_a_straight_box_keeps_the_cad_axes():
    ball = trimesh.creation.icosphere(radius=0.1)
    obj_from_box, size = geometry.bounding_box(ball.vertices + 0.3)
    assert np.array_equal(obj_from_box[:3, :3], np.eye(3))
    assert np.allclose(obj_from_box[:3, 3], 0.3)
    assert np.allclose(size, 0.2, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_box_that_stands_askew_gets_a_turned_box(seed):
    box = trimesh.creation.box((0.1, 0.2, 0.3))
    turned = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    vertices = box.vertices @ turned.T + (0.5, 0, 0)
    obj_from_box, size = geometry.bounding_box(vertices)
    assert np.allclose(np.sort(size), (0.1, 0.2, 0.3), atol=1e-6)
    se3.check_rigid(obj_from_box)
    assert np.allclose(corners_in_box(vertices), 1, atol=1e-6)


def test_samples_are_even():
    box = trimesh.creation.box((1.0, 1.0, 0.001))
    points, _, _ = geometry.sample_surface(box.vertices, box.faces, 4000, np.random.default_rng(0))
    assert np.abs(np.abs(points[:, :2]).max(0) - 0.5).max() < 1e-3
    counts = np.histogram2d(points[:, 0], points[:, 1], bins=4)[0]
    assert counts.min() > 0.75 * 250
    assert counts.max() < 1.25 * 250


def test_the_content_hash_tells_what_matters(tmp_path):
    l_shape().export(tmp_path / "a.ply")
    model = onboard(tmp_path / "a.ply", "one", unit="m")
    assert onboard(tmp_path / "a.ply", "other", unit="m").content_hash == model.content_hash
    assert onboard(tmp_path / "a.ply", unit="auto").content_hash != model.content_hash
    none = onboard(tmp_path / "a.ply", unit="m", symmetries="none")
    assert none.content_hash != model.content_hash
    changed = l_shape()
    changed.vertices[0, 0] -= 1e-3
    changed.export(tmp_path / "a.ply")
    assert onboard(tmp_path / "a.ply", unit="m").content_hash != model.content_hash


@pytest.mark.slow
def test_the_content_hash_covers_the_texture(tmp_path):
    textured_quad(tmp_path)
    before = onboard(tmp_path / "quad.obj").content_hash
    (tmp_path / "print.png").write_bytes((tmp_path / "print.png").read_bytes() + b"\0")
    assert onboard(tmp_path / "quad.obj").content_hash != before


def test_wrong_settings_are_refused(tmp_path):
    l_shape().export(tmp_path / "a.ply")
    with pytest.raises(InvalidObjects, match="symmetries"):
        onboard(tmp_path / "a.ply", symmetries="some")


def test_a_mesh_without_colours_makes_a_model():
    model = onboard_mesh(mesh_of(l_shape()), "angle")
    assert model.colors is None
    assert model.scene.render  # grey
    assert model.vertices.dtype == np.float32


def test_bop_models_are_millimetres_with_stated_symmetries(tmp_path):
    box = trimesh.creation.box((100.0, 160, 220))
    for obj_id in (2, 7):
        box.export(tmp_path / f"obj_{obj_id:06d}.ply")
    (tmp_path / "models_info.json").write_text(
        '{"2": {"name": "brick", "symmetries_continuous": [{"axis": [0,0,1], "offset": [0,0,0]}]}}'
    )
    brick, plain = load_bop_models(tmp_path)
    assert (brick.name, plain.name) == ("brick", "obj_000007")
    assert len(brick.symmetries.axes) == 1
    assert not plain.symmetries.is_symmetric
    assert len(plain.shape_symmetries.discrete) == 4
    assert np.allclose(plain.box_size, (0.1, 0.16, 0.22))
    assert [model.name for model in load_bop_models(tmp_path, [7])] == ["obj_000007"]
    with pytest.raises(InvalidDataset, match=r"obj_000003.*\[2, 7\]"):
        load_bop_models(tmp_path, [3])


def test_symmetries_of_a_bop_folder_are_a_group(tmp_path):
    """With one quarter turn listed, the opposite pose was another one."""
    trimesh.creation.box((100.0, 100, 220)).export(tmp_path / "obj_000001.ply")
    quarter = np.eye(4)
    quarter[:2, :2] = [[0, -1], [1, 0]]
    info = {"1": {"symmetries_discrete": [quarter.ravel().tolist()]}}
    (tmp_path / "models_info.json").write_text(json.dumps(info))
    (box,) = load_bop_models(tmp_path)
    assert len(box.symmetries.discrete) == 4


@pytest.mark.parametrize("text", ["[1]", "{", '{"x": {}}', '{"1": {"symmetries_discrete": [[1]]}}'])
def test_broken_models_info_is_refused(tmp_path, text):
    trimesh.creation.box((100.0, 160, 220)).export(tmp_path / "obj_000001.ply")
    (tmp_path / "models_info.json").write_text(text)
    with pytest.raises(InvalidDataset, match=r"models_info\.json"):
        load_bop_models(tmp_path)


def test_a_missing_models_folder_is_refused(tmp_path):
    with pytest.raises(InvalidDataset, match="does not exist"):
        load_bop_models(tmp_path / "models")


@pytest.mark.skipif(not REAL.is_dir(), reason="real data: ../shared/real is not there")
def test_diameters_agree_with_models_info(tmp_path, caplog):
    import json

    folder = REAL / "ycbv/models"
    infos = json.loads((folder / "models_info.json").read_text())
    with caplog.at_level(logging.WARNING):
        models = load_bop_models(folder, [8, 14], tmp_path)
    assert caplog.text == ""
    for model, obj_id in zip(models, ("8", "14"), strict=True):
        assert 1000 * model.diameter == pytest.approx(infos[obj_id]["diameter"], abs=0.01)
        assert model.colors is not None
    # a scan that stands askew in its file: the turned box is considerably tighter
    assert np.allclose(np.sort(models[0].box_size), (0.030, 0.073, 0.089), atol=0.002)
    again = load_bop_models(folder, [8], tmp_path)[0]
    assert np.array_equal(again.vertices, models[0].vertices)


def test_a_model_that_was_rendered_travels_to_another_process() -> None:
    model = onboard_mesh(mesh_of(l_shape()), "angle")
    assert model.scene.vertices.shape == model.vertices.shape
    again = pickle.loads(pickle.dumps(model))
    assert again.content_hash == model.content_hash
    assert np.array_equal(again.vertices, model.vertices)
    assert np.array_equal(again.box_corners, model.box_corners)
