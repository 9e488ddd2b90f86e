"""Frame files: every camera format and depth type gives the same frame."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from support.bop_folder import CAMERA

from sam6d_ros.errors import InvalidCamera, InvalidFrame
from sam6d_ros.frames import load_frame, read_camera, read_depth, read_rgb

K = CAMERA.matrix.ravel().tolist()
METRES = np.linspace(0, 2, 160 * 120, dtype=np.float32).reshape(120, 160)
FULL = {"width": 160, "height": 120}

CAMERA_FILES = {
    "bop camera.json": ("c.json", {"fx": 200.0, "fy": 200.0, "cx": 79.5, "cy": 59.5, **FULL}),
    "one image": ("c.json", {"cam_K": K}),
    "many images": ("c.json", {"7": {"cam_K": K}, "8": {"cam_K": [1.0] * 9}}),
    "padded image ids": ("c.json", {"000007": {"cam_K": K}, "000008": {"cam_K": [1.0] * 9}}),
    "nested matrix": ("c.json", {"cam_K": CAMERA.matrix.tolist()}),
    "ROS 2 CameraInfo": ("c.yaml", {"k": K, "d": [0.0] * 5, **FULL}),
    "ROS 1 CameraInfo": ("c.yaml", {"K": K, "D": [], **FULL}),
    "ROS calibration": (
        "c.yml",
        {"image_width": 160, "image_height": 120, "camera_matrix": {"rows": 3, "data": K}},
    ),
}


def write(path, data):
    path.write_text(json.dumps(data) if path.suffix == ".json" else yaml.safe_dump(data))
    return path


@pytest.mark.parametrize("name", CAMERA_FILES)
def test_camera_formats(tmp_path, name):
    file, data = CAMERA_FILES[name]
    found = read_camera(write(tmp_path / file, data), image_id=7)
    assert found.matrix == tuple(K)
    assert found.size in (None, (160, 120))
    assert found.note == ""


@pytest.mark.parametrize("file", ["calibration.yml", "calibration.xml"])
def test_calibrations_that_opencv_wrote_are_read(tmp_path, file):
    storage = cv2.FileStorage(str(tmp_path / file), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 160)
    storage.write("image_height", 120)
    storage.write("camera_matrix", np.reshape(K, (3, 3)))
    storage.write("distortion_coefficients", np.array([[0.1], [0.0], [0.0], [0.0], [0.0]]))
    storage.release()
    found = read_camera(tmp_path / file)
    assert (found.matrix, found.size) == (tuple(K), (160, 120))
    assert "distortion" in found.note


def test_the_first_message_of_ros2_topic_echo_is_read(tmp_path):
    """It ends each message by ---; the last one may be cut off."""
    first, second = ({"k": k, "d": [0.0] * 5, **FULL} for k in (K, [0.0] * 9))
    texts = [yaml.safe_dump(message) for message in (first, second)]
    path = tmp_path / "camera_info.yaml"
    path.write_text(f"{texts[0]}---\n{texts[1]}---\nheader:\n  stamp: [")
    assert read_camera(path).matrix == tuple(K)


def test_the_colour_file_names_the_image(tmp_path):
    cv2.imwrite(str(tmp_path / "000008.png"), np.zeros((120, 160, 3), np.uint8))
    np.save(tmp_path / "d.npy", METRES)
    other = [*K[:2], 70.0, *K[3:]]
    camera = write(tmp_path / "c.json", {"7": {"cam_K": K}, "8": {"cam_K": other}})
    arguments = (tmp_path / "000008.png", tmp_path / "d.npy", camera)
    assert load_frame(*arguments).camera.cx == 70.0
    assert load_frame(*arguments, image_id=7).camera.cx == 79.5
    with pytest.raises(InvalidCamera, match="no image id 9"):
        load_frame(*arguments, image_id=9)


def test_distortion_is_pointed_out(tmp_path):
    camera = write(tmp_path / "c.yaml", {"k": K, "d": [0.1, 0, 0, 0, 0]})
    assert "rectified" in read_camera(camera).note


@pytest.mark.parametrize(
    ("data", "message"),
    [([1, 2], "list"), ({"cam_K": [1, 2]}, "2 values"), ({"cam_K": ["a"] * 9}, "wrong type")],
)
def test_unusable_cameras(tmp_path, data, message):
    with pytest.raises(InvalidCamera, match=message):
        read_camera(write(tmp_path / "c.json", data))


@pytest.mark.parametrize("content", [b"part\0binary", b"solid part\nendsolid part\n"])
def test_a_mesh_in_place_of_the_camera_file_is_named(tmp_path, content):
    path = tmp_path / "part.stl"
    path.write_bytes(content)
    with pytest.raises(InvalidCamera, match=r"are --camera and --cad, .* swapped\?"):
        read_camera(path)


def save_depth(path, values):
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".exr":
        source = save_depth(path.with_suffix(".npy"), values)
        code = "import sys, cv2, numpy; cv2.imwrite(sys.argv[2], numpy.load(sys.argv[1]))"
        env = {**os.environ, "OPENCV_IO_ENABLE_OPENEXR": "1"}
        subprocess.run([sys.executable, "-c", code, source, path], check=True, env=env)
    else:
        assert cv2.imwrite(str(path), values)
    return path


@pytest.mark.parametrize(
    ("file", "values", "options"),
    [
        ("d.png", (METRES * 1000).round().astype(np.uint16), {}),
        ("d.png", (METRES * 10000).round().astype(np.uint16), {"camera_scale": 0.1}),
        ("d.png", (METRES * 10000).round().astype(np.uint16), {"depth_scale": 0.1}),
        ("d.tiff", (METRES * 1000).round().astype(np.uint16), {}),
        ("d.npy", METRES, {}),
        ("d.npy", METRES.astype(np.float64), {"camera_scale": 0.1}),  # floats are metres
        ("d.npy", METRES * 1000, {"depth_scale": 1.0}),
        ("d.npy", (METRES * 1000).round().astype(np.int32), {}),
        ("d.npy", METRES[..., None], {}),
        ("d.tiff", METRES, {}),
        ("d.exr", METRES, {}),
    ],
)
def test_depth_types_and_units(tmp_path, file, values, options):
    depth = read_depth(save_depth(tmp_path / file, values), **options)
    assert depth.dtype == np.float32
    assert np.abs(depth - METRES).max() <= 0.0006


def test_missing_measurements_become_zero(tmp_path):
    holes = METRES.copy()
    holes[0, :3] = np.nan, np.inf, -np.inf
    assert read_depth(save_depth(tmp_path / "d.npy", holes))[0, :3].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("d.png", np.zeros((4, 4), np.uint8), "uint8"),
        ("d.png", np.arange(48, dtype=np.uint16).reshape(4, 4, 3), "swapped"),
        ("d.npy", np.array([{}], dtype=object), "cannot be read"),
        ("d.npy", np.zeros((4, 4), bool), "bool"),
    ],
)
def test_unusable_depth(tmp_path, file, values, message):
    with pytest.raises(InvalidFrame, match=message):
        read_depth(save_depth(tmp_path / file, values))


def test_a_truncated_depth_image_is_named(tmp_path):
    (tmp_path / "d.png").write_bytes(b"\x89PNG")
    with pytest.raises(InvalidFrame, match=r"d\.png"):
        read_depth(tmp_path / "d.png")


def test_an_image_of_too_many_pixels_is_named(tmp_path):
    """OpenCV raises an error of its own there, which is in no table of errors."""
    (tmp_path / "d.pgm").write_bytes(b"P5 1048576 1048576 65535\n")
    for read in (read_depth, read_rgb):
        with pytest.raises(InvalidFrame, match=r"d\.pgm cannot be read"):
            read(tmp_path / "d.pgm")


def test_an_exr_file_that_opencv_may_not_read_says_the_remedy(tmp_path):
    """In a process without a shell of ours, which would allow it."""
    path = save_depth(tmp_path / "d.exr", METRES)
    code = (
        "import sys, pathlib; from sam6d_ros import frames; "
        "frames.read_depth(pathlib.Path(sys.argv[1]))"
    )
    env = {k: v for k, v in os.environ.items() if k != "OPENCV_IO_ENABLE_OPENEXR"}
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, env=env
    )
    assert "InvalidFrame" in done.stderr
    assert "set OPENCV_IO_ENABLE_OPENEXR=1" in done.stderr


def test_an_orientation_in_exif_turns_no_image(tmp_path):
    """Depth and intrinsics have no orientation that could turn with it."""
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[:2, :2] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to show
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=100, subsampling=0)
    rgb = read_rgb(path)
    assert rgb.shape == (6, 8, 3)
    assert rgb[0, 0, 0] > 150 > rgb[5, 7, 0]
