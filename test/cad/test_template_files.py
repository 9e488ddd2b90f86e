"""Template folders of SAM-6D: strict checks, and a hash of all that is in them."""

from __future__ import annotations

import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from support.template_folder import SIDE, write_templates

from sam6d_ros.cad.object_entry import ObjectEntry, read_entry
from sam6d_ros.cad.objects import load_entry, read_objects_file, write_objects_file
from sam6d_ros.cad.template_files import (
    VIEWS,
    has_templates,
    read_template,
    signature,
    with_templates,
)
from sam6d_ros.errors import InvalidObjects
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.stages.sam6d.template_views import ALL_VIEWS

MODEL = box_model((0.06, 0.08, 0.1))


@pytest.fixture
def folder(tmp_path):
    return write_templates(tmp_path / "templates", MODEL)


def test_the_files_are_read_as_they_were_written(folder):
    assert VIEWS == ALL_VIEWS
    found = read_template(folder, 7)
    assert found.rgb.shape == (SIDE, SIDE, 3)
    assert (found.rgb[found.mask] == (200, 60, 7)).all()
    assert not found.rgb[~found.mask].any()
    assert found.points_obj.dtype == np.float32
    extent = np.ptp(found.points_obj[found.mask], axis=0)
    assert (extent <= np.array([0.06, 0.08, 0.1]) + 1e-4).all()
    assert extent.max() > 0.05


def test_the_hash_is_of_the_model_and_of_every_file(folder):
    first = with_templates(MODEL, folder)
    assert first.templates == folder
    assert first.content_hash != MODEL.content_hash
    assert with_templates(MODEL, folder).content_hash == first.content_hash
    other = replace(MODEL, content_hash="other")
    assert with_templates(other, folder).content_hash != first.content_hash

    image = cv2.imread(str(folder / "rgb_41.png"))
    image[0, 0] = 77
    cv2.imwrite(str(folder / "rgb_41.png"), image)
    assert with_templates(MODEL, folder).content_hash != first.content_hash


def test_a_change_shows_in_the_signature(folder):
    before = signature(folder)
    assert len(before) == 3 * VIEWS
    cv2.imwrite(str(folder / "rgb_3.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    assert signature(folder) != before
    (folder / "mask_9.png").unlink()
    with pytest.raises(InvalidObjects, match=r"mask_9\.png is missing"):
        signature(folder)


def test_a_folder_without_templates_is_told_from_one_that_lacks_files(folder, tmp_path):
    assert not has_templates(tmp_path)
    assert has_templates(folder)
    (folder / "rgb_0.png").unlink()
    assert has_templates(folder)


def header(shape, kind="<f2"):
    """Begin of a .npy file of version 1.0."""
    text = str({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def png_header(width, height):
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(20)


def saved(folder, array, **options):
    np.save(folder / "xyz_5.npy", array, **options)


def points(folder):
    return np.load(folder / "xyz_5.npy")


BROKEN = {
    "missing": (lambda f: (f / "xyz_5.npy").unlink(), r"xyz_5\.npy is missing .* N from 0 to 41"),
    "no PNG": (lambda f: (f / "rgb_5.png").write_bytes(b"GIF89a"), r"rgb_5\.png is no PNG file"),
    "truncated PNG": (
        lambda f: (f / "mask_5.png").write_bytes(png_header(SIDE, SIDE)),
        r"mask_5\.png cannot be decoded",
    ),
    "bomb": (
        lambda f: (f / "rgb_5.png").write_bytes(png_header(60000, 60000)),
        r"rgb_5\.png is 60000×60000 pixels",
    ),
    "other size": (
        lambda f: cv2.imwrite(str(f / "mask_5.png"), np.zeros((40, SIDE), np.uint8)),
        r"mask_5\.png is 40×48, rgb_5\.png 48×48",
    ),
    "double precision": (
        lambda f: saved(f, points(f).astype(np.float64)),
        r"xyz_5\.npy is \(48, 48, 3\) float64; expected .* float16 or float32",
    ),
    "two dimensions": (lambda f: saved(f, points(f)[..., 0]), r"xyz_5\.npy is \(48, 48\)"),
    "other points": (lambda f: saved(f, points(f)[:40]), r"xyz_5\.npy is 40×48"),
    "no array": (lambda f: (f / "xyz_5.npy").write_bytes(b"PK\x03\x04"), "no NumPy array file"),
    "pickle": (
        lambda f: saved(f, np.array([{}] * 3, object), allow_pickle=True),
        r"xyz_5\.npy is \(3,\) object",
    ),
    "truncated array": (
        lambda f: (f / "xyz_5.npy").write_bytes((f / "xyz_5.npy").read_bytes()[:-10]),
        "its header states",
    ),
    "huge header": (
        lambda f: (f / "xyz_5.npy").write_bytes(header((10**12, 10**12, 3))),
        r"xyz_5\.npy is \(1000000000000",
    ),
    "negative header": (
        lambda f: (f / "xyz_5.npy").write_bytes(header((-48, -48, 3)) + bytes(48 * 48 * 6)),
        r"xyz_5\.npy is \(-48",
    ),
    "not finite": (lambda f: saved(f, points(f) + np.float16(np.nan)), "not finite"),
    "link": (
        lambda f: ((f / "rgb_5.png").rename(f.parent / "x"), (f / "rgb_5.png").symlink_to("../x")),
        r"rgb_5\.png is a link out of",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_unusable_file_is_named(folder, name):
    break_it, text = BROKEN[name]
    break_it(folder)
    with pytest.raises(InvalidObjects, match=f"templates of 'warm-up':.*{text}"):
        with_templates(replace(MODEL, name="warm-up"), folder)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 1.5])
def test_points_of_another_object_or_unit_are_refused(folder, factor):
    for path in folder.glob("xyz_*.npy"):
        np.save(path, (factor * np.load(path)).astype(np.float16))
    with pytest.raises(InvalidObjects, match="expected points of this mesh in millimetres"):
        with_templates(MODEL, folder)


def test_templates_without_any_object_are_refused(folder):
    for path in folder.glob("mask_*.png"):
        cv2.imwrite(str(path), np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(InvalidObjects, match="every mask is empty"):
        with_templates(MODEL, folder)


def test_an_objects_file_states_templates_relative_to_itself(folder, tmp_path):
    import trimesh

    trimesh.creation.box((0.06, 0.08, 0.1)).export(tmp_path / "box.ply")
    path = tmp_path / "objects.yaml"
    item = {"name": "box", "mesh": "box.ply", "unit": "m", "templates": "templates"}
    path.write_text(yaml.safe_dump({"objects": [item]}))
    (entry,) = read_objects_file(path)
    assert entry.templates == folder
    assert load_entry(entry).templates == folder
    plain = load_entry(replace(entry, templates=None))
    assert plain.templates is None
    assert plain.content_hash != load_entry(entry).content_hash

    again = tmp_path / "more/again.yaml"
    again.parent.mkdir()
    write_objects_file(again, [entry])
    (read,) = read_objects_file(again)
    assert read.templates is not None
    assert read.templates.resolve() == folder

    handed_on = read_entry("box", str(tmp_path / "box.ply"), "m", entry.options)
    assert handed_on == ObjectEntry("box", tmp_path / "box.ply", "m", templates=folder)


@pytest.mark.parametrize("value", ["", 5, ["a"], "http://host/templates"])
def test_an_unusable_templates_key_is_named(tmp_path, value):
    path = tmp_path / "objects.yaml"
    path.write_text(
        yaml.safe_dump({"objects": [{"name": "box", "mesh": "box.ply", "templates": value}]})
    )
    with pytest.raises(InvalidObjects, match=r"objects\[0\]\.templates"):
        read_objects_file(path)
