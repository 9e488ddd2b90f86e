"""The objects file: its entries are read, and wrong ones refused by name."""

import logging
import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.meshes import l_shape

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.object_entry import KEYS, SYMMETRY_KEYS, read_entry, with_settings
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.objects import (
    ObjectEntry,
    load_objects,
    read_objects_file,
    write_objects_file,
)
from sam6d_ros.cad.symmetry.group import union
from sam6d_ros.errors import InvalidMesh, InvalidObjects

REPO = Path(__file__).resolve().parents[2]


def write(folder: Path, content: object) -> Path:
    path = folder / "objects.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def one(folder: Path, **keys: object) -> ObjectEntry:
    path = write(folder, {"objects": [{"name": "mug", "mesh": "m/mug.ply", **keys}]})
    return read_objects_file(path, lambda name: Path("/share") / name)[0]


def test_defaults(tmp_path):
    assert one(tmp_path) == ObjectEntry(
        "mug", tmp_path / "m/mug.ply", "auto", "auto", ObjectSettings()
    )


@pytest.mark.parametrize(
    ("mesh", "path"),
    [
        ("/abs/mug.ply", "/abs/mug.ply"),
        ("file:///abs/my%20mug.ply", "/abs/my mug.ply"),
        ("package://my_robot/meshes/mug.ply", "/share/my_robot/meshes/mug.ply"),
    ],
)
def test_mesh_addresses(tmp_path, mesh, path):
    assert one(tmp_path, mesh=mesh).mesh == Path(path)


def test_packages_need_a_resolver_that_knows_them(tmp_path):
    path = write(tmp_path, {"objects": [{"name": "mug", "mesh": "package://robot/mug.ply"}]})
    with pytest.raises(InvalidObjects, match=r"objects\[0\]\.mesh \(mug\).*sourced"):
        read_objects_file(path)

    def unknown(name: str) -> Path:
        raise LookupError(f"no package {name}")

    with pytest.raises(InvalidObjects, match="'robot' is not found"):
        read_objects_file(path, unknown)


def test_settings_are_read_apart_from_what_is_prepared(tmp_path):
    settings = {"min_score": 0, "max_instances": 2, "detector_classes": ["cup", "mug"]}
    entry = one(tmp_path, **settings)
    assert entry.settings == ObjectSettings(0.0, 2, ("cup", "mug"))
    assert one(tmp_path, **dict.fromkeys(settings)).settings == ObjectSettings()


def test_other_settings_are_stated_in_the_options_as_well(tmp_path):
    entry = one(tmp_path, symmetries="none", min_score=0.4, detector_classes=["cup"])
    changed = with_settings(entry, ObjectSettings(max_instances=3))
    assert yaml.safe_load(changed.options) == {"symmetries": "none", "max_instances": 3}
    assert read_entry("mug", "/m/mug.ply", "auto", changed.options) == replace(
        changed, mesh=Path("/m/mug.ply")
    )
    assert with_settings(one(tmp_path, min_score=0.4), ObjectSettings()).options == ""


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"min_score": float("nan")}, "min_score"),
        ({"min_score": -0.1}, "min_score"),
        ({"max_instances": 0}, "max_instances"),
        ({"detector_classes": ("cup", "")}, "detector_classes"),
    ],
)
def test_settings_out_of_range_are_refused(values, reason):
    with pytest.raises(InvalidObjects, match=reason):
        ObjectSettings(**values)


LARGE_ORDERS = [pytest.param(order, marks=pytest.mark.slow) for order in (40, 59, 60)]


@pytest.mark.parametrize("order", [2, 3, 20, 36, *LARGE_ORDERS])
def test_rotations_have_exactly_the_stated_order(tmp_path, order):
    group = one(
        tmp_path, symmetries={"rotations": [{"axis": [1, 2, 3], "order": order}]}
    ).symmetries
    assert len(group.discrete) == order
    both = union(group, Symmetries(np.stack([np.eye(4), group.discrete[order // 2]])))
    assert len(both.discrete) == order


def test_symmetries_are_generators_in_metres(tmp_path):
    group = one(
        tmp_path,
        symmetries={
            "rotations": [{"axis": [0, 0, 1], "order": 4}],
            "discrete": [[1, 0, 0, 0, 0, -1, 0, 0.02, 0, 0, -1, 0, 0, 0, 0, 1]],
        },
    ).symmetries
    assert len(group.discrete) == 8
    assert any(np.allclose(motion[:3, 3], (0, 0.02, 0)) for motion in group.discrete)
    group = one(tmp_path, symmetries={"continuous": [{"axis": [0, 0, 2]}]}).symmetries
    assert np.allclose(group.axes, [[[0, 0, 1], [0, 0, 0]]])
    assert one(tmp_path, symmetries="none").symmetries == "none"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"name": ""}, r"objects\[0\]\.name"),
        ({"name": 5}, r"objects\[0\]\.name"),
        ({"mesh": None}, r"objects\[0\]\.mesh \(mug\)"),
        ({"mesh": "http://x/mug.ply"}, "package://, file:// or a path"),
        ({"mesh": "file://rel/mug.ply"}, "a file URL has three slashes: file:///rel/mug.ply"),
        ({"symmetries": {"rotations": [{"axis": [0, 0, 1], "order": 61}]}}, "order: 2 to 60"),
        ({"symmetries": {"discrete": [[*range(16)]]}}, "no proper rotation"),
        (
            {"symmetries": {"discrete": [[1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0.1, 0, 1]]}},
            "last row",
        ),
        (
            {
                "symmetries": {
                    "rotations": [
                        {"axis": [0, 0, 1], "order": 60},
                        {"axis": [1, 0, 0], "order": 2},
                    ]
                }
            },
            "more than 60, the largest one allowed",
        ),
        ({"mesh": "package://mug.ply"}, "package://PACKAGE/FILE"),
        ({"unit": "yard"}, r"\.unit.*expected one of"),
        ({"unit": ["m"]}, r"\.unit"),
        ({"min_score": 1.5}, r"\.min_score.*\[0, 1\]"),
        ({"min_score": True}, r"\.min_score"),
        ({"min_score": "high"}, r"\.min_score"),
        ({"min_score": float("nan")}, r"\.min_score"),
        ({"max_instances": 0}, r"\.max_instances.*from 1"),
        ({"max_instances": 1.5}, r"\.max_instances"),
        ({"max_instances": True}, r"\.max_instances"),
        ({"detector_classes": "cup"}, r"\.detector_classes.*list of names"),
        ({"detector_classes": [""]}, r"\.detector_classes"),
        ({"detector_classes": [5]}, r"\.detector_classes"),
        ({"colour": "red"}, r"\.colour.*unknown"),
        ({"symmetries": "cyclic"}, r"\.symmetries.*auto, none or a map"),
        ({"symmetries": {"turns": []}}, "turns"),
        ({"symmetries": {"discrete": 5}}, r"symmetries\.discrete.*list"),
        ({"symmetries": {"discrete": [[1, 2]]}}, "16"),
        ({"symmetries": {"rotations": [{"axis": [0, 0, 1], "order": 1}]}}, "order"),
        ({"symmetries": {"rotations": [{"order": 2}]}}, "axis"),
        ({"symmetries": {"rotations": [[0, 0, 1]]}}, "order"),
        ({"symmetries": {"continuous": [{"axis": [0, 0, 0]}]}}, "zero"),
    ],
)
def test_wrong_values_are_refused_by_place(tmp_path, keys, reason):
    with pytest.raises(InvalidObjects, match=reason) as caught:
        one(tmp_path, **keys)
    assert "objects.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no list `objects:`"),
        ("objects: 5", "no list `objects:`"),
        ("- a\n- b", "no list `objects:`"),
        ("objects: [}", "is not YAML"),
        ("objects: [5]", "a map with name and mesh"),
        ("objects: []\nobjekts: []", "unknown keys"),
        ("objects: !!python/object/apply:os.getcwd []", "is not YAML"),
        ("objects: [{name: a, mesh: b}, {name: a, mesh: c}]", "twice"),
        ("\x00", "is not YAML"),
    ],
)
def test_wrong_files_are_refused(tmp_path, content, reason):
    with pytest.raises(InvalidObjects, match=reason):
        read_objects_file(write(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidObjects, match="cannot be read"):
        read_objects_file(tmp_path / "gone.yaml")
    with pytest.raises(InvalidObjects, match="cannot be read"):
        read_objects_file(tmp_path)


def test_any_number_of_objects_is_loaded_in_order(tmp_path, caplog):
    l_shape().export(tmp_path / "a.ply")
    entries = [{"name": f"part {i}", "mesh": "a.ply"} for i in range(3)]
    with caplog.at_level(logging.INFO):
        models = load_objects(write(tmp_path, {"objects": entries}), cache_dir=tmp_path / "cache")
    assert [model.name for model in models] == ["part 0", "part 1", "part 2"]
    assert "part 1: m, decided from the diameter" in caplog.text
    assert load_objects(write(tmp_path, {"objects": []})) == []


def test_a_missing_mesh_names_file_and_object(tmp_path):
    path = write(tmp_path, {"objects": [{"name": "mug", "mesh": "mug.ply"}]})
    with pytest.raises(InvalidMesh, match=r"objects\.yaml: object 'mug': .*mug\.ply does not"):
        load_objects(path)


def test_the_shipped_file_is_valid():
    assert read_objects_file(REPO / "config/objects.yaml") == []


def test_the_example_of_the_docs_is_valid(tmp_path):
    text = (REPO / "docs/objects.md").read_text().split("```yaml\n")[1].split("```")[0]
    entries = read_objects_file(write(tmp_path, text), lambda name: Path("/share") / name)
    assert [entry.name for entry in entries] == ["mug", "bolt"]


def test_what_is_written_is_read_back(tmp_path):
    group = Symmetries(
        np.stack([np.eye(4), np.diag([1.0, -1, -1, 1])]), np.array([[[0, 0, 1.0], [0, 0, 0.1]]])
    )
    entries = [
        ObjectEntry("a", tmp_path / "models/a.ply", "mm", group, ObjectSettings(0.25, 2, ("cup",))),
        ObjectEntry("b", tmp_path / "b.ply", "auto", "auto"),
        ObjectEntry("c", tmp_path / "b.ply", "m", Symmetries()),
    ]
    write_objects_file(tmp_path / "out.yaml", entries)
    a, b, c = read_objects_file(tmp_path / "out.yaml")
    assert (a.name, a.mesh, a.unit) == ("a", tmp_path / "models/a.ply", "mm")
    assert a.settings == entries[0].settings
    assert np.allclose(a.symmetries.discrete, group.discrete)
    assert np.allclose(a.symmetries.axes, group.axes)
    assert b == entries[1]
    assert c.symmetries == "none"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(sorted({*KEYS, *SYMMETRY_KEYS, "axis", "order", "offset", "other"})),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(plain, max_size=3) | plain, st.text(max_size=20))
def test_nonsense_is_either_read_or_refused_by_our_own_error(tmp_path, objects, junk):
    for content in (yaml.safe_dump({"objects": objects}), junk):
        path = tmp_path / "objects.yaml"
        path.write_text(content, encoding="utf-8", errors="surrogatepass")
        try:
            entries = read_objects_file(path, lambda name: Path("/share") / name)
        except InvalidObjects:
            continue  # any other error fails the test
        assert all(isinstance(entry, ObjectEntry) for entry in entries)
