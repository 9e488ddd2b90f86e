"""`sam6d detect`, `detector` and `triton`, from the words to the files."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.tiny_detector import CELL, needs_torchvision

from sam6d_ros.apps.cli.main import build_parser, main
from sam6d_ros.apps.cli.output import write_png
from sam6d_ros.detectors.draw import draw_boxes
from sam6d_ros.detectors.images import Video, VideoFile
from sam6d_ros.detectors.triton.process import Address
from sam6d_ros.errors import InvalidInput
from sam6d_ros.frames import read_rgb
from sam6d_ros.types import Boxes

pytestmark = [pytest.mark.sam6d, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
SIZE_HW = (6 * CELL, 8 * CELL)


def bright(row: int, column: int) -> np.ndarray:
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = 255
    return image


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    paths = [tmp_path / "a/photo.png", tmp_path / "b/photo.png"]
    for column, path in enumerate(paths, 2):
        path.parent.mkdir()
        write_png(path, bright(1, column))
    return paths


@pytest.mark.parametrize("way", ["http", "grpc", "file"])
def test_detect_writes_boxes_and_pictures(way, photos, tmp_path, request, capsys):
    repository = request.getfixturevalue("repository")
    words = ["--detector", str(repository / "tiny_onnx")]
    if way != "file":
        url = request.getfixturevalue("triton").urls[way]
        words = ["--url", url, "--protocol", way, "--model", "tiny_onnx"]
    out = tmp_path / "out"
    code = main(["detect", *map(str, photos), *words, "--threshold", "0.9", "--out", str(out)])
    assert code == 0
    assert "2 second" in capsys.readouterr().out
    entries = json.loads((out / "detections.json").read_text())
    assert [entry["image"] for entry in entries] == [str(path) for path in photos]
    for column, entry in enumerate(entries, 2):
        assert (entry["height"], entry["width"]) == SIZE_HW
        (box,) = entry["boxes"]
        assert (box["label"], box["score"]) == ("second", 1.0)
        assert box["xyxy"] == [column * CELL, CELL, (column + 1) * CELL, 2 * CELL]
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert pictures == ["photo_2_boxes.png", "photo_boxes.png"]
    assert (read_rgb(out / "photo_boxes.png") != read_rgb(photos[0])).any()


def test_detect_tells_found_from_nothing_and_names_what_is_wrong(
    photos, repository, tmp_path, capsys
):
    base = ["detect", "--detector", str(repository / "tiny_onnx"), "--out", str(tmp_path / "out")]
    write_png(tmp_path / "black.png", np.zeros((*SIZE_HW, 3), np.uint8))
    assert main([*base, str(tmp_path / "black.png")]) == 3
    assert "no box" in capsys.readouterr().out
    assert main([*base, str(tmp_path / "none.png")]) == 2
    assert "none.png" in capsys.readouterr().err
    assert main(base) == 2
    assert main([*base, str(photos[0]), "--camera", "0"]) == 2
    assert "one of them" in capsys.readouterr().err
    server = ["--url", "127.0.0.1:1", "--out", str(tmp_path / "out")]
    assert main(["detect", str(photos[0]), *server]) == 4
    assert "sam6d triton serve" in capsys.readouterr().err


def test_detect_reads_and_writes_videos(repository, tmp_path, capsys):
    source = VideoFile(tmp_path / "in.mp4", SIZE_HW, 10.0)
    for column in range(6):
        source.write(bright(2, column))
    source.close()
    out = tmp_path / "out"
    words = ["--detector", str(repository / "tiny_onnx"), "--threshold", "0.8", "--out", str(out)]
    assert main(["detect", "--video", str(tmp_path / "in.mp4"), "--frames", "5", *words]) == 0
    assert "5 frames, " in capsys.readouterr().out
    entries = json.loads((out / "detections.json").read_text())
    assert [entry["frame"] for entry in entries] == [0, 1, 2, 3, 4]
    assert [round(entry["boxes"][0]["xyxy"][0]) // CELL for entry in entries] == [0, 1, 2, 3, 4]
    written = Video(str(out / "boxes.mp4"))
    assert len(list(written)) == 5
    assert written.fps == pytest.approx(10.0)
    written.close()
    with pytest.raises(InvalidInput, match="cannot open"):
        Video(str(tmp_path / "none.mp4"))


def test_detect_reads_a_camera_by_its_number(repository, tmp_path, capsys, monkeypatch):
    """The device alone is replaced: a video stands for camera 2."""
    recorded, words = tmp_path / "camera.mp4", ["--out", str(tmp_path / "out")]
    writer = VideoFile(recorded, SIZE_HW, 5.0)
    for column in range(8):
        writer.write(bright(2, column))
    writer.close()
    opened, capture = [], cv2.VideoCapture

    def open_device(source):
        opened.append(source)
        return capture(str(recorded) if source == 2 else source)

    monkeypatch.setattr(cv2, "VideoCapture", open_device)
    source = ["--detector", str(repository / "tiny_onnx"), "--threshold", "0.1"]
    assert main(["detect", "--camera", "2", "--frames", "5", *source, *words]) == 0
    assert opened == [2]
    assert "5 frames, " in capsys.readouterr().out
    assert len(json.loads((tmp_path / "out" / "detections.json").read_text())) == 5
    assert len([*Video(str(tmp_path / "out" / "boxes.mp4"))]) == 5


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (["--camera", "63"], "/dev/video63"),
        (["--video", "rtsp://user:geheim@127.0.0.1:1/x"], "//***@127.0.0.1:1/x"),
        (["--video", "none.mp4"], "none.mp4"),
    ],
)
def test_detect_names_a_source_that_cannot_be_opened(repository, tmp_path, capsys, source, reason):
    words = ["--detector", str(repository / "tiny_onnx"), "--out", str(tmp_path)]
    assert main(["detect", *source, *words]) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert "check" in told
    assert "geheim" not in told


def test_boxes_are_drawn_on_their_edges():
    boxes = Boxes(np.array([[20, 40, 60, 90]], np.float32), ("mug",), np.ones(1, np.float32))
    image = np.zeros((120, 160, 3), np.uint8)
    picture = draw_boxes(image, boxes)
    assert not image.any()
    below_text = picture[50:].any(axis=2)
    rows, columns = np.nonzero(below_text)
    assert (columns.min(), columns.max(), rows.max() + 50) == pytest.approx((20, 59, 89), abs=1)


def test_triton_commands_control_a_running_server(triton, capsys):
    url = ["--url", triton.urls["http"]]
    assert main(["triton", "status", *url]) == 0
    assert capsys.readouterr().out.count("READY") == 2
    assert main(["triton", "unload", "tiny_onnx", *url]) == 0
    assert main(["triton", "status", *url]) == 0
    assert capsys.readouterr().out.count("READY") == 1
    assert main(["triton", "load", "tiny_onnx", *url]) == 0
    assert main(["triton", "load", "nothing", *url]) == 2
    assert "nothing" in capsys.readouterr().err
    assert main(["triton", "status", "--url", "127.0.0.1:1"]) == 4


def test_triton_serve_runs_until_it_is_stopped(environment, repository):
    address = Address.free()
    ports = [f"--{name}-port={port}" for name, port in address.ports().items()]
    folder = str(environment.python.parent.parent)
    command = [sys.executable, "-m", "sam6d_ros.apps.cli.main", "triton", "serve", str(repository)]
    with subprocess.Popen(
        [*command, "--models", "tiny_onnx", "--environment", folder, *ports],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ,
    ) as process:  # fmt: skip
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("loaded 'tiny_onnx'"):
                process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, lines
    assert str(address.http) in lines[0]


def test_triton_serve_names_what_is_missing(repository, tmp_path, capsys):
    assert main(["triton", "serve", str(repository), "--environment", str(tmp_path)]) == 4
    assert "sam6d triton setup" in capsys.readouterr().err
    assert main(["triton", "serve", str(tmp_path)]) == 2
    assert "sam6d detector export" in capsys.readouterr().err


@pytest.fixture
def small_fasterrcnn(monkeypatch):
    needs_torchvision()
    from sam6d_ros.apps.cli.commands import detector
    from sam6d_ros.detectors.networks.torchvision_models import faster_rcnn

    small = {"min_size": 32, "max_size": 48, "rpn_post_nms_top_n_test": 20}
    monkeypatch.setattr(detector, "build", lambda _, weights: faster_rcnn(weights, **small))


@pytest.mark.slow
def test_detector_export_writes_a_repository(small_fasterrcnn, tmp_path, capsys):
    write_png(tmp_path / "photo.png", bright(1, 1)[:32, :48])
    words = ["--weights", "random", "--photo", str(tmp_path / "photo.png"), "--max-batch", "2"]
    words += ["--formats", "torchscript"]
    assert main(["detector", "export", "fasterrcnn", "--out", str(tmp_path / "repo"), *words]) == 0
    assert "deviation" in capsys.readouterr().out
    files = {str(p.relative_to(tmp_path / "repo")) for p in (tmp_path / "repo").rglob("*.*")}
    folder = "fasterrcnn"
    assert files == {f"{folder}/{name}" for name in ("1/model.pt", "config.pbtxt", "detector.json")}
    assert "max_batch_size: 2" in (tmp_path / "repo/fasterrcnn/config.pbtxt").read_text()


def test_detector_export_names_what_is_wrong(tmp_path, capsys):
    out = ["--out", str(tmp_path / "repo")]
    assert main(["detector", "export", "fasterrcnn", *out, "--max-batch", "0"]) == 2
    assert main(["detector", "export", "fasterrcnn", *out, "--photo", "none.png"]) == 2
    assert "none.png" in capsys.readouterr().err
    assert not (tmp_path / "repo").exists()


def test_the_commands_of_the_page_are_understood():
    page = Path(__file__).resolve().parents[2] / "docs/detectors.md"
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    whole = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    lines = [line for line in whole if line.startswith("sam6d ")]
    assert len(lines) > 8
    for line in lines:
        build_parser().parse_args(shlex.split(line)[1:])  # exits on what it does not know
