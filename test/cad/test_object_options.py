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


def test_a_message_about_shared_values_stays_small(tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text("objects:\n- {name: a, mesh: a.ply}\n" + bomb(60))
    with pytest.raises(InvalidObjects, match="unknown keys"):
        read_objects_file(path)
    symmetries = bomb(60).replace("\n-", "\n  -")
    path.write_text(f"objects:\n- name: a\n  mesh: a.ply\n  {symmetries}")
    with pytest.raises(InvalidObjects, match="expected auto, none or a map"):
        read_objects_file(path)


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
