"""Opening detectors by file, folder, address and name."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from support.tiny_detector import CELL, LABELS

from sam6d_ros.detectors import table
from sam6d_ros.detectors.model import ModelDetector
from sam6d_ros.detectors.table import open_detector
from sam6d_ros.errors import InvalidConfig, UnknownName

IMAGE = np.zeros((3 * CELL, 4 * CELL, 3), np.uint8)
IMAGE[CELL : 2 * CELL, :CELL] = 255


def assert_works(detector) -> None:
    assert detector.labels == LABELS
    (boxes,) = detector.detect([IMAGE])
    assert (boxes.labels, boxes.xyxy.tolist()) == (("second",), [[0, CELL, CELL, 2 * CELL]])
    detector.close()


@pytest.mark.sam6d
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["tiny", "tiny_onnx"])
def test_a_model_opens_by_its_folder_and_by_its_file(name, repository):
    (file,) = (path for path in (repository / name / "1").iterdir() if path.stem == "model")
    for source in (repository / name, file):
        assert_works(open_detector(str(source), 0.9))


@pytest.mark.sam6d
def test_a_served_model_opens_by_its_address(triton):
    for protocol, url in triton.urls.items():
        assert_works(open_detector(f"{protocol}://{url}/tiny", 0.9))


def test_a_package_adds_a_detector_by_an_entry_point(monkeypatch):
    opened = []

    class Entry:
        name = "mine"

        def load(self):
            return lambda text, threshold: opened.append((text, threshold)) or "detector"

    asked = []
    monkeypatch.setattr(table, "entry_points", lambda group: asked.append(group) or [Entry()])
    assert open_detector("mine:a:b", 0.25) == "detector"
    assert (opened, asked) == ([("a:b", 0.25)], ["sam6d_ros.detectors"])
    with pytest.raises(UnknownName, match=r"'other'.*mine"):
        open_detector("other:a")


@pytest.mark.parametrize("source", ["http://host:8000", "grpc://host:8001/a/b", "http:///model"])
def test_an_address_without_one_model_is_refused(source):
    with pytest.raises(InvalidConfig, match="HOST:PORT/MODEL"):
        open_detector(source)


def test_what_is_no_detector_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(ModelDetector, "__init__", None)  # none is opened
    with pytest.raises(InvalidConfig, match="no detector at 'none'"):
        open_detector("none")
    with pytest.raises(InvalidConfig, match=r"holds none of model\.pt, model\.onnx"):
        open_detector(str(tmp_path))
    (tmp_path / "model.tflite").touch()
    (tmp_path / "detector.json").write_text('{"name": "m"}')
    with pytest.raises(InvalidConfig, match=r"expected a file \.pt, \.onnx, \.engine, \.trt"):
        open_detector(str(tmp_path / "model.tflite"))
    shutil.move(tmp_path / "detector.json", tmp_path / "other.json")
    with pytest.raises(InvalidConfig, match=r"detector\.json"):
        open_detector(str(tmp_path / "model.tflite"))
