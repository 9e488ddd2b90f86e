"""A small detector for tests: finds the bright cells of an image. TorchScript and ONNX alike.

It has the outputs of `export.BatchFirst`: boxes (B, N, 4), labels (B, N) int64, scores (B, N).
The cells are 16 pixels wide; the label of a cell reason in which row of cells it lies.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sam6d_ros.detectors.manifest import FILE_NAME, InputSpec, Manifest

CELL, FOUND = 16, 4
LABELS = ("top", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
MANIFEST = Manifest("tiny", LABELS, InputSpec(fit="keep", multiple=CELL), max_batch=8)


def needs_torchvision() -> None:
    """Skip where torchvision is missing, without importing it before its operators."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is missing: pip install --no-deps 'torchvision==0.28.*'")


def tiny_model():
    torch = pytest.importorskip("torch", reason="torch is missing: make setup-sam6d")

    class Tiny(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            cells = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 16)[:, 0]
            wide = cells.shape[2]
            scores, places = cells.flatten(1).topk(4, dim=1)
            rows = torch.div(places, wide, rounding_mode="floor")
            cols = places - rows * wide
            corners = torch.stack([cols, rows, cols + 1, rows + 1], 2).to(torch.float32) * 16.0
            return corners, rows, scores

    return Tiny().eval()


def write_torchscript(folder: Path, name: str = "model.pt") -> Path:
    import torch

    path = folder / name
    torch.jit.script(tiny_model()).save(str(path))
    (folder / FILE_NAME).write_text(MANIFEST.to_json())
    return path


def write_onnx(folder: Path, name: str = "model.onnx") -> Path:
    pytest.importorskip("onnx", reason="onnx is missing: pip install -e '.[detectors]'")
    pytest.importorskip("onnxruntime", reason="missing: pip install -e '.[detectors]'")
    import torch

    path = folder / name
    names = ["output__0", "output__1", "output__2"]
    torch.onnx.export(
        tiny_model(),
        (torch.rand(2, 3, 64, 96),),
        str(path),
        input_names=["input__0"],
        output_names=names,
        dynamic_axes={"input__0": {0: "b", 2: "h", 3: "w"}} | {name: {0: "b"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    (folder / FILE_NAME).write_text(MANIFEST.to_json())
    return path


def write_fixed(
    folder: Path, rows: list[tuple[str, float, float, float, float]], score: float = 1.0
) -> Path:
    """Write a detector that gives the same boxes (label, left, top, right, bottom) in any image."""
    torch = pytest.importorskip("torch", reason="torch is missing: make setup-sam6d")
    xyxy = torch.tensor([row[1:] for row in rows], dtype=torch.float32).reshape(-1, 4)
    labels = tuple(dict.fromkeys(row[0] for row in rows))

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = score
            self.register_buffer("xyxy", xyxy)
            self.register_buffer("places", torch.tensor([labels.index(row[0]) for row in rows]))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            count = x.shape[0]
            boxes = self.xyxy[None].repeat(count, 1, 1)
            places = self.places[None].repeat(count, 1)
            return boxes, places, self.score * torch.ones(places.shape)

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.pt"
    torch.jit.script(Fixed().eval()).save(str(path))
    (folder / FILE_NAME).write_text(Manifest("fixed", labels, InputSpec(fit="keep")).to_json())
    return path
