"""Faster R-CNN of torchvision as a module with batch-first tensors, as Triton's backends want it.

Ren et al., 2015; Li et al., 2021 (the second version); weights: torchvision's `COCO_V1`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sam6d_ros.detectors.export import Exportable
from sam6d_ros.detectors.labels import COCO_91
from sam6d_ros.detectors.manifest import Manifest
from sam6d_ros.detectors.torchvision_ops import torchvision_detection
from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidConfig

MANIFEST = Manifest(
    name="fasterrcnn",
    labels=COCO_91,
    max_batch=8,
    attribution="torchvision fasterrcnn_resnet50_fpn_v2, BSD-3-Clause",
)
RANDOM, PRETRAINED = "random", "pretrained"


class BatchFirst(torch.nn.Module):
    """Detector of torchvision that takes and returns tensors with a batch axis.

    It returns boxes (B, N, 4) float32, labels (B, N) int64 and scores (B, N) float32. N is the
    largest number of boxes in one image; the other images are filled up with boxes of score 0.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Detect in images (B, 3, H, W) float32 in [0, 1], RGB."""
        images = [image for image in x]  # noqa: C416 - TorchScript iterates so, and not by list()
        if torch.jit.is_scripting():
            _, found = self.model(images)  # a scripted model returns its losses too
        else:
            found = self.model(images)
        most = 0
        for one in found:
            most = max(most, one["scores"].shape[0])
        boxes = torch.zeros((len(found), most, 4), dtype=torch.float32, device=x.device)
        labels = torch.zeros((len(found), most), dtype=torch.int64, device=x.device)
        scores = torch.zeros((len(found), most), dtype=torch.float32, device=x.device)
        for place, one in enumerate(found):
            count = one["scores"].shape[0]
            boxes[place, :count] = one["boxes"]
            labels[place, :count] = one["labels"]
            scores[place, :count] = one["scores"]
        return boxes, labels, scores


class OneImage(torch.nn.Module):
    """The same for batches of one image, which can be traced: what ONNX files are written from."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Detect in one image (1, 3, H, W)."""
        found = self.model([x[0]])[0]
        return found["boxes"][None], found["labels"][None], found["scores"][None]


def faster_rcnn(weights: str | Path, **sizes: int) -> Exportable:
    """Build `fasterrcnn_resnet50_fpn_v2`.

    Args:
        weights: `random`, `pretrained` (fetched from torchvision's address) or a state dict.
        sizes: keyword arguments of torchvision's `FasterRCNN`, such as `min_size`.

    Returns:
        Module and manifest.

    Raises:
        BackendUnavailable: torchvision is missing, or the weights cannot be fetched.
        CheckpointError: the file is damaged or of another network.
    """
    try:
        detection: Any = torchvision_detection()
    except ImportError as error:
        raise BackendUnavailable(
            f"the export needs torchvision ({error}): pip install --no-deps torchvision"
        ) from error
    torch.manual_seed(0)  # random weights are the same in every run
    model = detection.fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, **sizes)
    if str(weights) != RANDOM:
        _load(model, _state(weights, detection), weights)
    model.eval()
    return Exportable(MANIFEST, BatchFirst(model).eval(), OneImage(model).eval(), torch.jit.script)


def _state(weights: str | Path, detection: Any) -> dict[str, torch.Tensor]:
    if str(weights) == PRETRAINED:
        url = detection.FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1.url
        try:
            return torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, weights_only=True
            )
        except (OSError, RuntimeError) as error:
            raise BackendUnavailable(
                f"cannot fetch {url} ({error}); fetch it elsewhere and give --weights FILE"
            ) from error
    path = Path(weights)
    if not path.is_file():
        raise InvalidConfig(f"no weights in '{path}'; give a file, '{PRETRAINED}' or '{RANDOM}'")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch raise errors of several kinds
        raise CheckpointError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def _load(model: torch.nn.Module, state: dict[str, torch.Tensor], source: str | Path) -> None:
    try:
        model.load_state_dict(state, strict=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        lines = str(error).strip().splitlines()
        raise CheckpointError(
            f"'{source}' is no state dict of fasterrcnn_resnet50_fpn_v2: {' '.join(lines[:3])}"
        ) from error
