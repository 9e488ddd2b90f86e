"""CenterNet on MobileNetV3 (Zhou et al., 2019): a small COCO detector.

The npm package `@vladmandic/human` (MIT licence) holds its weights for TensorFlow.js; its authors
took the network from github.com/610265158/mobilenetv3_centernet.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sam6d_ros.detectors.export import Exportable
from sam6d_ros.detectors.labels import COCO_80
from sam6d_ros.detectors.manifest import InputSpec, Manifest
from sam6d_ros.detectors.networks.npm_package import NpmFiles
from sam6d_ros.detectors.networks.tfjs_graph import GraphModule, read_graph

PACKAGE = NpmFiles(
    name="@vladmandic/human",
    version="3.3.6",
    sha256={
        "models/centernet.json": "bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05",
        "models/centernet.bin": "1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef",
        "LICENSE": "",
    },
)
SIDE = 512  # pixels of the input
CELL = 4  # input pixels per place of the score maps
MOST = 100  # boxes that are returned, those of the graph's own end
MANIFEST = Manifest(
    name="centernet",
    labels=COCO_80,
    input=InputSpec((SIDE, SIDE), fit="center", scale=1.0),
    nms_iou=0.5,  # peaks of one class lie two places apart or more, which is not enough
    max_batch=8,
    attribution="mobilenetv3_centernet, converted by Vladimir Mandic for @vladmandic/human, MIT",
)
SCORES, SIZES = "tower_0/keypoints", "tower_0/wh"


class CenterNet(torch.nn.Module):
    """Network and decoding: images (B, 3, 512, 512) in 0..255 to boxes, labels and scores."""

    def __init__(self, graph: torch.nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return boxes (B, 100, 4) in pixels, labels (B, 100) int64 and scores (B, 100)."""
        heat, sizes = self.graph(x)  # (B, 80, 128, 128) and (B, 4, 128, 128)
        wide = SIDE // CELL
        peaks = heat * (heat == torch.nn.functional.max_pool2d(heat, 3, 1, 1)).to(heat.dtype)
        scores, places = torch.topk(peaks.flatten(1), MOST, 1)
        labels = torch.div(places, wide * wide, rounding_mode="floor")
        cells = places - labels * (wide * wide)
        rows = torch.div(cells, wide, rounding_mode="floor")
        columns = cells - rows * wide
        reach = torch.gather(sizes.flatten(2), 2, cells[:, None].expand(-1, 4, -1))
        centers = torch.stack([columns, rows], 1).to(reach.dtype) * float(CELL)
        corners = torch.cat([centers - reach[:, :2], centers + reach[:, 2:]], 1)
        return corners.transpose(1, 2), labels, scores


def centernet(folder: Path, archive: Path | None = None) -> Exportable:
    """Build the detector from the npm package.

    Args:
        folder: cache of the package's files; the licence is kept there.
        archive: the package as `npm pack` writes it, or None to fetch it.

    Returns:
        Module and manifest.

    Raises:
        BackendUnavailable: npm is missing, or cannot fetch the package.
        CheckpointError: a file has another checksum.
    """
    files = PACKAGE.fetch(folder, archive)
    nodes, constants = read_graph(files["models/centernet.json"], files["models/centernet.bin"])
    module = CenterNet(GraphModule(nodes, constants, (SCORES, SIZES))).eval()
    return Exportable(MANIFEST, module, module, _traced)


def _traced(module: torch.nn.Module) -> torch.jit.ScriptModule:
    example = torch.zeros(2, 3, SIDE, SIDE)
    with (
        torch.inference_mode()
    ):  # the export compares on a photo, a stronger check than a second run
        return torch.jit.trace(module, example, check_trace=False)
