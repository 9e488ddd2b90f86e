"""Damaged files for every reader: an error of ours, or a result; the same ones in every run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.cad.mesh_files import SUFFIXES
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.errors import InvalidInput, Sam6dError
from sam6d_ros.frames import read_depth, read_rgb
from sam6d_ros.frames.camera_files import read_camera
from sam6d_ros.grasps.grasp_file import read_grasp_file

ROUNDS = 60
CAMERAS = {
    "bop.json": json.dumps({"fx": 500, "fy": 500, "cx": 320, "cy": 240, "width": 640}),
    "scene.json": json.dumps({"0": {"cam_K": [500, 0, 320, 0, 500, 240, 0, 0, 1]}}),
    "ros.yaml": "height: 480\nwidth: 640\nk: [500, 0, 320, 0, 500, 240, 0, 0, 1]\nd: []\n",
    "calibration.yaml": "%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\ncamera_matrix: "
    "!!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: [500., 0., 320., 0., 500., 240., "
    "0., 0., 1.]\n",
}
OBJECTS = "objects:\n- {name: a, mesh: a.ply, unit: m, symmetries: none, min_score: 0.5}\n"
GRASPS = "grasps:\n  a:\n  - {name: top, xyz: [0, 0, 0.1], rpy: [0, 3.14, 0], width: 0.06}\n"
VALUES = (
    b"-1", b"1e400", b"nan", b"null", b"[]", b"{}", b"2024-01-01", b"[" * 3000, b"x" * 300,
    b"\x00", b"\xff\xfe", b"&a [*a]", b"!!python/object:os.system {}", b"999999999999999999999",
)  # fmt: skip


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return data with a part changed, left out, repeated or replaced by an odd value."""
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 2, 8, 64)))
    middle = chance.choice(
        (b"", data[start:end] * 3, chance.randbytes(end - start), *VALUES),
    )
    rest = b"" if chance.random() < 0.1 else data[end:]
    return data[:start] + middle + rest


def survives(read, path: Path, data: bytes, seed: int) -> None:
    """Read many damaged files; each ends in a result or in an error of ours."""
    chance, lengths = random.Random(seed), []
    for number in range(ROUNDS):
        path.write_bytes(damaged(data, chance))
        try:
            read(path)
        except Sam6dError as error:
            lengths.append(len(str(error)))
        except Exception as error:
            raise AssertionError(f"round {number}: {path.read_bytes()[:300]!r}") from error
    assert max(lengths, default=0) < 3000


def grasps_of(path: Path):
    return read_grasp_file(path, 0.1)


@pytest.mark.parametrize("name", CAMERAS)
def test_camera_files(name, tmp_path):
    survives(read_camera, tmp_path / name, CAMERAS[name].encode(), 1)


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{BOMB}K: *j\n", "aliases stand for more than"),
        (CAMERAS["calibration.yaml"].replace("rows: 3", "rows: 50000"), "states 50000 × 3 values"),
        ("fx: 1e400\nfy: .inf\ncx: 0\ncy: 0\nwidth: .inf\nheight: 3\n", "wrong type"),
        ("cam_K: [2024-01-01]\n", "wrong type|3×3"),
    ],
)
def test_camera_files_that_state_odd_values_are_refused(text, problem, tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=problem) as told:
        read_camera(path)
    assert len(str(told.value)) < 500


def test_objects_files(tmp_path):
    trimesh.creation.box((0.1, 0.1, 0.1)).export(tmp_path / "a.ply")
    survives(
        lambda path: read_objects_file(path, lambda _: tmp_path),
        tmp_path / "objects.yaml",
        OBJECTS.encode(),
        2,
    )


@pytest.mark.parametrize("name", ["depth.npy", "depth.png", "depth.tiff", "rgb.png", "rgb.jpg"])
def test_image_files(name, tmp_path):
    path = tmp_path / name
    depth = np.full((6, 8), 1000, np.uint16)
    rgb = np.zeros((6, 8, 3), np.uint8)
    if path.suffix == ".npy":
        np.save(path, depth)
    else:
        cv2.imwrite(str(path), depth if path.stem == "depth" else rgb)
    read = read_depth if path.stem == "depth" else read_rgb
    survives(read, path, path.read_bytes(), 6)


def test_an_array_that_states_more_values_than_its_file_has_is_refused(tmp_path):
    path = tmp_path / "depth.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (200_000, 200_000)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_depth(path)


def test_grasp_files(tmp_path):
    survives(grasps_of, tmp_path / "grasps.yaml", GRASPS.encode(), 3)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_meshes(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    box = trimesh.creation.box((0.1, 0.2, 0.3))
    box.export(path)
    raw = path.read_bytes()
    survives(load_mesh, path, raw, 4)


@pytest.mark.parametrize("kind", ["zero", "fifo", "folder", "missing", "long name"])
def test_what_is_no_file_is_refused_without_a_wait(kind, tmp_path):
    path = {
        "zero": Path("/dev/zero"),
        "fifo": tmp_path / "fifo",
        "folder": tmp_path,
        "missing": tmp_path / "missing",
        "long name": tmp_path / ("x" * 5000),
    }[kind]
    if kind == "fifo":
        os.mkfifo(path)
    for read in (lambda p: read_objects_file(p, lambda _: tmp_path), grasps_of, read_camera):
        with pytest.raises(InvalidInput, match=r"no regular file|cannot be read|does not exist"):
            read(path)


# --- cache entries

STORED = {
    "vertices": np.arange(30, dtype=np.float32).reshape(10, 3),
    "faces": np.arange(12).reshape(4, 3),
    "name": np.array("box"),
}


def cached(folder: Path) -> dict:
    return load_or_build("key", lambda: dict(STORED), folder)


def test_damaged_cache_entries_are_built_anew(tmp_path):
    cached(tmp_path)
    (entry,) = tmp_path.iterdir()
    data, chance = entry.read_bytes(), random.Random(5)
    for number in range(4 * ROUNDS):
        entry.write_bytes(damaged(data, chance))
        found = cached(tmp_path)
        assert found.keys() == STORED.keys(), f"round {number}"
        for name, values in STORED.items():
            np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cache_entry_with_values_that_are_not_finite_is_built_anew(value, tmp_path, caplog):
    cached(tmp_path)
    (entry,) = tmp_path.iterdir()
    vertices = STORED["vertices"].copy()
    vertices[3, 1] = value
    np.savez(entry, **(STORED | {"vertices": vertices}))
    np.testing.assert_array_equal(cached(tmp_path)["vertices"], STORED["vertices"])
    assert "vertices has values that are not finite" in caplog.text


def test_a_cache_entry_with_other_values_than_stored_is_built_anew(tmp_path, caplog):
    cached(tmp_path)
    (entry,) = tmp_path.iterdir()
    with np.load(entry) as stored:
        arrays = dict(stored)
    np.savez(entry, **(arrays | {"vertices": STORED["vertices"] + 1}))
    np.testing.assert_array_equal(cached(tmp_path)["vertices"], STORED["vertices"])
    assert "the checksum does not fit" in caplog.text


# --- folders and paths


def as_nobody(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run Python as a user without rights, who owns nothing."""
    rights = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **rights,
    )


READERS = """
import sys, pathlib
from sam6d_ros.cad.cache import load_or_build
from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.frames.camera_files import read_camera
from sam6d_ros.grasps.grasp_file import read_grasp_file
from sam6d_ros.errors import Sam6dError
print("imported")
folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER)
for read, name in ((load_mesh, "a.ply"), (lambda p: read_objects_file(p, lambda _: p), "o.yaml"),
                   (read_camera, "c.json"), (lambda p: read_grasp_file(p, 0.1), "g.yaml")):
    try:
        read(folder / name)
    except Sam6dError as error:
        print("refused:", error)
"""


def test_files_in_a_folder_that_may_not_be_entered_are_refused(tmp_path_factory):
    with tempfile.TemporaryDirectory() as closed:  # of mode 700, and of another user
        trimesh.creation.box((0.1, 0.1, 0.1)).export(Path(closed, "a.ply"))
        done = as_nobody(f"FOLDER = {closed!r}\n{READERS}", NUMBA_CACHE_DIR="/tmp/none")
    if "imported" not in done.stdout:
        pytest.skip("another user may not read this checkout")
    assert done.stdout.count("refused:") == 4, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
