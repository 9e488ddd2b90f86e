"""The cache gives what was built, and never stands in the way."""

import logging

import numpy as np
import pytest
from support.meshes import l_shape

from sam6d_ros.cad import cache
from sam6d_ros.cad.cache import digest, load_or_build
from sam6d_ros.cad.onboard import onboard


class Builder:
    def __init__(self, value: float = 1.5) -> None:
        self.calls, self.value = 0, value

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return {"a": np.full((2, 3), self.value, np.float32), "text": np.array("ä note")}


def test_the_second_call_is_a_hit(tmp_path):
    build = Builder()
    first = load_or_build("templates-abc", build, tmp_path)
    second = load_or_build("templates-abc", build, tmp_path)
    assert build.calls == 1
    assert np.array_equal(first["a"], second["a"])
    assert second["a"].dtype == np.float32
    assert str(second["text"]) == "ä note"


def test_another_key_is_a_miss(tmp_path):
    load_or_build("a", Builder(1), tmp_path)
    assert load_or_build("b", Builder(2), tmp_path)["a"][0, 0] == 2


def test_keys_that_are_no_file_names_stay_apart(tmp_path):
    for index, key in enumerate(["a/b", "a:b", "a b", "../a", "x" * 300, "x" * 301]):
        load_or_build(key, Builder(index), tmp_path)
    for index, key in enumerate(["a/b", "a:b", "a b", "../a", "x" * 300, "x" * 301]):
        assert load_or_build(key, Builder(99), tmp_path)["a"][0, 0] == index
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_without_a_folder_it_builds_each_time():
    build = Builder()
    load_or_build("a", build, None)
    load_or_build("a", build, None)
    assert build.calls == 2


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "flipped"])
def test_a_damaged_entry_is_rebuilt_with_a_warning(tmp_path, caplog, damage):
    load_or_build("a", Builder(1), tmp_path)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[data.find(b"\x00\x00\x80\x3f")] ^= 0xFF  # a byte of the float 1.0
    broken = {"truncated": data[: len(data) // 2], "empty": b"", "garbage": b"junk" * 50}
    path.write_bytes(broken.get(damage, data))
    with caplog.at_level(logging.WARNING):
        assert load_or_build("a", Builder(2), tmp_path)["a"][0, 0] == 2
    assert "is damaged" in caplog.text
    assert load_or_build("a", Builder(3), tmp_path)["a"][0, 0] == 2  # stored anew


def test_a_folder_that_cannot_be_made_costs_a_warning_only(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        found = load_or_build("a", Builder(), tmp_path / "file" / "cache")
    assert found["a"].shape == (2, 3)
    assert "cannot be written" in caplog.text


def test_a_failed_write_leaves_nothing_half_done(tmp_path, monkeypatch, caplog):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    with caplog.at_level(logging.WARNING):
        load_or_build("a", Builder(), tmp_path)
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_builder_goes_up_and_is_not_stored(tmp_path):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        load_or_build("a", fail, tmp_path)
    assert load_or_build("a", Builder(), tmp_path)["a"].shape == (2, 3)


def test_digests_do_not_run_over():
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])
    assert digest(["ab"]) == digest([b"ab"])


def test_onboarding_twice_reads_the_mesh_once(tmp_path, monkeypatch):
    l_shape().export(tmp_path / "a.ply")
    folder = tmp_path / "cache"
    first = onboard(tmp_path / "a.ply", "one", cache_dir=folder)
    monkeypatch.setattr("sam6d_ros.cad.onboard.load_mesh", None)
    second = onboard(tmp_path / "a.ply", "two", cache_dir=folder)
    assert second.name == "two"
    assert second.unit_note == first.unit_note
    assert second.colors is None
    for field in ("vertices", "faces", "obj_from_box", "box_size"):
        assert np.array_equal(getattr(first, field), getattr(second, field)), field
    assert second.diameter == first.diameter
