"""Exported files give what the module gives, on a photo, or are not kept."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.tiny_detector import MANIFEST, needs_torchvision, tiny_model

from sam6d_ros.detectors.networks.npm_package import NpmFiles
from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidConfig, InvariantError

pytestmark = pytest.mark.sam6d


@pytest.fixture(scope="module")
def tiny():
    import torch

    from sam6d_ros.detectors.export import Exportable

    module = tiny_model()
    return Exportable(MANIFEST, module, module, torch.jit.script)


def photo(height: int = 96, width: int = 128) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_what_is_written_is_compared_and_takes_other_sizes(tiny, tmp_path):
    pytest.importorskip("onnxruntime", reason="missing: pip install -e '.[detectors]'")
    from sam6d_ros.detectors.export import export
    from sam6d_ros.detectors.onnx import OnnxRunner

    written = export(tiny, photo(), tmp_path, ["torchscript", "onnx"])
    assert [w.path.name for w in written] == ["model.pt", "model.onnx"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.pt"]
    for one in written:
        assert one.boxes == 4
        assert one.box_error_px < 1e-3
    other = np.random.default_rng(3).random((2, 3, 48, 80), np.float32)
    runner = OnnxRunner(written[1].path, max_batch=2)
    assert len(runner.run(list(other))) == 2


@pytest.mark.parametrize(("output", "change"), [(0, 0.1), (1, 1), (2, 0.01)])
def test_a_file_that_deviates_is_not_kept(output, change, tiny, tmp_path):
    """The written module is another one than the one that is compared."""
    import torch

    from sam6d_ros.detectors.export import export

    class Off(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module, output: int, change: float):
            super().__init__()
            self.inner = inner
            self.output = output
            self.change = change

        def forward(self, x: torch.Tensor):
            a, b, c = self.inner(x)
            if self.output == 0:
                a = a + self.change
            elif self.output == 1:
                b = b + 1
            else:
                c = c + self.change
            return a, b, c

    wrong = replace(tiny, script=lambda m: torch.jit.script(Off(m, output, change).eval()))
    with pytest.raises(InvariantError, match=r"model\.pt deviates"):
        export(wrong, photo(), tmp_path, ["torchscript"])
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_are_refused(tiny, tmp_path):
    from sam6d_ros.detectors.export import export

    for formats in ([], ["torchscript", "plan"]):
        with pytest.raises(InvalidConfig, match="torchscript, onnx"):
            export(tiny, photo(), tmp_path, formats)


SMALL = {"min_size": 64, "max_size": 96, "rpn_post_nms_top_n_test": 40}


@pytest.fixture(scope="module")
def fasterrcnn():
    needs_torchvision()
    from sam6d_ros.detectors.networks.torchvision_models import RANDOM, faster_rcnn

    return faster_rcnn(RANDOM, **SMALL)


@pytest.mark.slow
def test_faster_rcnn_is_exported_and_batched(fasterrcnn, tmp_path):
    """The real network with 43 million weights, at a small size, with random weights."""
    import torch

    from sam6d_ros.detectors.export import export
    from sam6d_ros.detectors.torchscript import TorchScriptRunner

    written = export(fasterrcnn, photo(64, 96), tmp_path, ["torchscript", "onnx"])
    assert min(one.boxes for one in written) > 0
    assert max(one.box_error_px for one in written) < 1e-2
    two = np.random.default_rng(3).random((2, 3, 64, 80), np.float32)
    found = TorchScriptRunner(written[0].path, max_batch=2).run(list(two))
    with torch.inference_mode():
        for image, outputs in zip(two, found, strict=True):
            alone = [
                tensor[0].numpy() for tensor in fasterrcnn.module(torch.from_numpy(image[None]))
            ]
            count = len(alone[2])
            for one, both in zip(alone, outputs, strict=True):
                np.testing.assert_allclose(both[:count], one, atol=1e-2)
            assert not outputs[2][count:].any()  # the shorter one is filled with score 0


def test_weights_of_another_network_are_named(tmp_path):
    import torch

    needs_torchvision()
    from sam6d_ros.detectors.networks.torchvision_models import faster_rcnn

    path = tmp_path / "weights.pth"
    torch.save({"layer": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="no state dict of fasterrcnn_resnet50_fpn_v2"):
        faster_rcnn(path)
    path.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="cannot read"):
        faster_rcnn(path)
    with pytest.raises(InvalidConfig, match="pretrained"):
        faster_rcnn(tmp_path / "none")


PACKAGE = NpmFiles(
    "thing", "1.0.0", {"a.txt": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}
)


def archive_of(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    (folder / "package").mkdir(exist_ok=True)
    (folder / "package" / name).write_bytes(content)
    with tarfile.open(folder / "thing.tgz", "w:gz") as tar:
        tar.add(folder / "package", "package")
    return folder / "thing.tgz"


def test_a_file_of_a_package_is_taken_out_once_and_its_sum_checked(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)  # no npm
    kept = tmp_path / "kept"
    with pytest.raises(BackendUnavailable, match=r"npm pack thing@1\.0\.0"):
        PACKAGE.fetch(kept)
    with pytest.raises(CheckpointError, match="checksum"):
        PACKAGE.fetch(kept, archive_of(tmp_path, b"b"))
    assert not kept.exists()
    found = PACKAGE.fetch(kept, archive_of(tmp_path, b"a"))
    assert found["a.txt"].read_bytes() == b"a"
    assert PACKAGE.fetch(kept) == found  # from the folder
    found["a.txt"].write_bytes(b"damaged")
    with pytest.raises(BackendUnavailable, match="npm"):
        PACKAGE.fetch(kept)
    (tmp_path / "package/a.txt").unlink()
    with pytest.raises(CheckpointError, match=r"is not thing.*a\.txt"):
        PACKAGE.fetch(kept, archive_of(tmp_path, b"a", "b.txt"))
    (tmp_path / "no.tgz").write_bytes(b"no archive")
    with pytest.raises(InvalidConfig, match="cannot read"):
        PACKAGE.fetch(kept, tmp_path / "no.tgz")
