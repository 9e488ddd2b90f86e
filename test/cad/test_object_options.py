"""Options of objects in YAML: aliases, length, messages about large values."""

from __future__ import annotations

import pytest

from sam6d_ros.cad.object_entry import read_entry
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.errors import InvalidObjects


def bomb(levels: int) -> str:
    """Return YAML of about 40 bytes a level for 9 to the power of ``levels`` values."""
    lines = ["symmetries:", "- &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


def test_aliases_in_options_are_refused():
    with pytest.raises(InvalidObjects, match="has an alias"):
        read_entry("box", "/tmp/box.ply", "mm", bomb(12))


def test_long_options_are_refused():
    with pytest.raises(InvalidObjects, match="expected at most"):
        read_entry("box", "/tmp/box.ply", "mm", "detector_classes: [" + "a, " * 100_000 + "b]")


@pytest.mark.parametrize("levels", [6, 60])
@pytest.mark.parametrize("key", ["", "unit", "name", "min_score", "symmetries.discrete"])
def test_aliases_for_very_many_values_are_refused_at_once(key, levels, tmp_path):
    path = tmp_path / "objects.yaml"
    text = f"objects:\n- {{name: a, mesh: a.ply}}\n{bomb(levels)}"
    if key:
        one, _, two = key.partition(".")
        inner = f"{{{two}: *a{levels - 1}}}" if two else f"*a{levels - 1}"
        other = "" if one == "name" else "name: a, "
        text = f"{bomb(levels)}\nobjects:\n- {{{other}mesh: a.ply, {one}: {inner}}}"
    path.write_text(text)
    with pytest.raises(InvalidObjects, match="aliases stand for more than 100,000 values") as told:
        read_objects_file(path)
    assert len(str(told.value)) < 500


def test_an_alias_inside_its_own_anchor_is_refused(tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text("objects: &a\n- {name: a, mesh: a.ply, detector_classes: *a}\n")
    with pytest.raises(InvalidObjects, match="inside its own anchor"):
        read_objects_file(path)


@pytest.mark.parametrize("key", ["unit", "symmetries", "max_instances", "detector_classes"])
def test_a_message_about_a_large_value_stays_small(key, tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text(f"objects:\n- {{name: a, mesh: a.ply, {key}: [{'[1, 2], ' * 3000}]}}\n")
    with pytest.raises(InvalidObjects, match=key) as told:
        read_objects_file(path)
    assert len(str(told.value)) < 500


@pytest.mark.parametrize("length", [201, 100_000])
def test_names_beyond_200_characters_are_refused(length, tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text(f"objects:\n- {{name: {'x' * length}, mesh: a.ply}}\n")
    for read in (
        lambda: read_objects_file(path),
        lambda: read_entry("x" * length, "/tmp/box.ply", "mm", ""),
    ):
        with pytest.raises(InvalidObjects, match="expected at most 200") as told:
            read()
        assert len(str(told.value)) < 500


def test_options_with_shared_values_can_be_handed_on(tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text(
        "objects:\n- {name: a, mesh: /tmp/a.ply, detector_classes: &n [cup]}\n"
        "- name: b\n  mesh: /tmp/b.ply\n"
        "  symmetries: {continuous: [{axis: &z [0, 0, 1], offset: *z}]}\n"
    )
    for entry in read_objects_file(path):
        again = read_entry(entry.name, str(entry.mesh), entry.unit, entry.options)
        assert again.options == entry.options
