"""The small detector on real photos: it finds real things where the ground truth has them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.detectors.model import ModelDetector
from sam6d_ros.detectors.postprocess import box_iou
from sam6d_ros.errors import BackendUnavailable, CheckpointError

pytest.importorskip("torch", reason="torch is missing: make setup-sam6d")

from sam6d_ros.detectors.networks.tfjs_graph import GraphModule, Node, read_graph

REAL = Path(__file__).resolve().parents[4] / "shared/real/ycbv"
# scene, object of YCB-Video, and the closest of COCO's names: a pitcher, a bottle of bleach
TRUE_THINGS = [("000001", 11, "cup"), ("000002", 12, "bottle")]
pytestmark = pytest.mark.sam6d


@pytest.fixture(scope="module")
def centernet():
    from sam6d_ros.detectors.networks.centernet import centernet

    try:
        return centernet(default_cache_dir() / "detectors/centernet")
    except BackendUnavailable as error:
        pytest.skip(str(error))


def photo_of(scene: str) -> np.ndarray:
    return cv2.imread(str(REAL / "test" / scene / "rgb/000001.png"))[..., ::-1].copy()


def true_box(scene: str, obj_id: int) -> np.ndarray:
    """Box around the projected vertices of the model at the true pose."""
    folder = REAL / "test" / scene
    truth = json.loads((folder / "scene_gt.json").read_text())["1"]
    pose = next(entry for entry in truth if entry["obj_id"] == obj_id)
    k = np.reshape(json.loads((folder / "scene_camera.json").read_text())["1"]["cam_K"], (3, 3))
    points = trimesh.load(REAL / f"models/obj_{obj_id:06d}.ply", process=False).vertices
    camera = points @ np.reshape(pose["cam_R_m2c"], (3, 3)).T + pose["cam_t_m2c"]
    pixels = (camera @ k.T)[:, :2] / camera[:, 2:]
    return np.array([*pixels.min(0), *pixels.max(0)])


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="real data: ../shared/real is not there")
def test_real_things_are_found_where_they_are(centernet, tmp_path):
    pytest.importorskip("onnxruntime", reason="missing: pip install -e '.[detectors]'")
    from sam6d_ros.detectors.export import export
    from sam6d_ros.detectors.onnx import OnnxRunner

    files = export(centernet, photo_of("000001"), tmp_path, ["torchscript", "onnx"])
    detector = ModelDetector(centernet.manifest, OnnxRunner(files[1].path, max_batch=2), 0.4)
    images = [photo_of(scene) for scene, *_ in TRUE_THINGS]
    cut = images[0][20:, 300:].copy()  # the pitcher, in another size
    *found, part = detector.detect([*images, cut])
    for boxes, (scene, obj_id, label) in zip(found, TRUE_THINGS, strict=True):
        assert boxes.labels[0] == label
        assert box_iou(boxes.xyxy[:1], true_box(scene, obj_id)[None]) > 0.7, label
    moved = true_box("000001", 11) - [300, 20, 300, 20]
    assert part.labels[0] == "cup"
    assert box_iou(part.xyxy[:1], moved[None]) > 0.7
    assert {"banana", "bottle"} <= set(detector.detect([photo_of("000003")])[0].labels)
    detector.close()


def node(op: str, inputs: tuple[str, ...], **attributes) -> Node:
    return Node("y", op, inputs, attributes)


def run(op: str, image: np.ndarray, constants: dict[str, np.ndarray], **attributes) -> np.ndarray:
    import torch

    nodes = [Node("x", "Placeholder", (), {}), node(op, ("x", *constants), **attributes)]
    return GraphModule(nodes, constants, ["y"])(torch.from_numpy(image))[0].numpy()


@pytest.mark.parametrize(("length", "stride", "wanted"), [
    (5, 1, [3, 6, 9, 12, 9]),  # of 1 2 3 4 5, padded by one at both ends
    (4, 2, [6, 7]),  # padded at the end only
    (5, 2, [3, 9, 9]),
])  # fmt: skip
def test_padding_is_that_of_tensorflow(length, stride, wanted):
    image = np.arange(1, length + 1, dtype=np.float32)[None, None, None]
    kernel = np.ones((1, 3, 1, 1), np.float32)
    got = run("Conv2D", image, {"k": kernel}, strides=[1, stride, stride, 1], padding="SAME")
    assert got.ravel().tolist() == wanted


def test_enlarging_is_that_of_tensorflow():
    """Without half-pixel centres: every second value is an old one."""
    image = np.array([0, 2, 6], np.float32)[None, None, :, None]
    assert run("ResizeBilinear", image, {}).shape == (1, 1, 6, 2)
    assert run("ResizeBilinear", image, {})[0, 0, :, 0].tolist() == [0, 1, 2, 4, 6, 6]


def test_what_is_no_graph_and_what_is_not_known_is_named(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("{}")
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no graph"):
        read_graph(path, tmp_path / "model.bin")
    with pytest.raises(CheckpointError, match="FFT"):
        run("FFT", np.zeros((1, 1, 1, 1), np.float32), {})
    with pytest.raises(CheckpointError, match="no result"):
        GraphModule([Node("x", "Placeholder", (), {})], {}, ["z"])
