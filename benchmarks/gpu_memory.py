"""GPU memory of the sam6d backend without a GPU: ``python -m benchmarks.gpu_memory``.

Runs the networks on meta tensors, which have shapes and no memory, and adds up the storages that
live at once. Activations count as float32, though encoders and decoder keep part of theirs in half:
the result is a bound on them. Attention counts without its map, as flash and memory-efficient
kernels do. Not counted: the context of CUDA, workspaces of its libraries, and what the allocator
loses between blocks.
"""

from __future__ import annotations

import argparse
import json
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from sam6d_ros.models import point_ops, transfer
from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.pem import ObjectCode, PoseEstimationModel
from sam6d_ros.models.reduced import hold_weights
from sam6d_ros.models.sam import SamSegmenter
from sam6d_ros.models.sam_cut import Cut
from sam6d_ros.models.sam_decoder import SharedDecoder
from sam6d_ros.models.sam_network import SHAPES, build_sam, reduced_parts
from sam6d_ros.models.steps import HostWork, advance
from sam6d_ros.stages.sam6d.descriptors import Describer
from sam6d_ros.stages.sam6d.estimate import PemEstimator
from sam6d_ros.stages.sam6d.settings import PRESETS, Sam6dConfig

META = torch.device("meta")
IMAGE_HW, INPUT_HW = (480, 640), (768, 1024)
PROPOSALS = 100
GOOD_SHARE = 0.25  # of SAM's masks that pass the first threshold
MB = 2**20


class Peak(TorchDispatchMode):
    """Bytes of meta storages that live at once, of those made meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for storage in _storages((args, kwargs)):
            self._add(storage, 0)  # weights and inputs: there before
        out = func(*args, **(kwargs or {}))
        for storage in _storages(out):
            self._add(storage, storage.nbytes())
        return out

    def _add(self, storage: Any, size: int) -> None:
        key = storage._cdata
        if key in self.seen:
            return
        self.seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.now -= size


def _storages(values: Any) -> list[Any]:
    leaves = pytree.tree_leaves(values)
    tensors = [t for t in leaves if isinstance(t, Tensor) and t.device == META]
    return [tensor.untyped_storage() for tensor in tensors]


def peak_mb(run: Callable[[], Any]) -> float:
    """Return the most memory that lives at once while ``run`` makes tensors, in MB."""
    with Peak() as peak, torch.no_grad():
        run()
    return peak.most / MB


@contextmanager
def as_gpu() -> Iterator[None]:
    """Let meta tensors take the ways of a GPU."""
    kernels = SimpleNamespace(
        sample_furthest=lambda points, order, count: empty(len(points), count, dtype=torch.int64),
        first_within=lambda queries, points, limit, count: empty(
            *queries.shape[:2], count, dtype=torch.int64
        ),
    )
    with ExitStack() as stack:
        for place, name, value in (
            (torch, "autocast", lambda *_, **__: nullcontext()),
            (torch, "inference_mode", lambda on=True: torch.set_grad_enabled(not on)),
            (F, "scaled_dot_product_attention", lambda q, *_, **__: torch.empty_like(q)),
            (point_ops, "cuda_kernels", lambda device: kernels),
            (transfer, "pin", lambda tensor: tensor),
        ):
            stack.enter_context(patch.object(place, name, value))
        transfer.constant.cache_clear()
        stack.callback(transfer.constant.cache_clear)
        yield


@dataclass(frozen=True)
class Estimate:
    """Memory of one preset in MB.

    Attributes:
        weights: of the three networks.
        graphs: memory of the CUDA graphs, which nothing else may use.
        objects: codes and descriptors of the objects.
        stages: by stage, what it needs beside all that.
    """

    weights: float
    graphs: dict[str, float]
    objects: float
    stages: dict[str, float]

    @property
    def total(self) -> float:
        """Most that is held at once."""
        held = self.weights + sum(self.graphs.values()) + self.objects
        return held + max(self.stages.values())


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a meta tensor."""
    return torch.empty(shape, dtype=dtype, device=META)


def estimate(
    config: Sam6dConfig, dtype: torch.dtype | None = torch.bfloat16, objects: int = 1
) -> Estimate:
    """Return the memory of the backend on a GPU with these settings.

    Args:
        config: settings of the backend.
        dtype: reduced type, None for float32.
        objects: number of registered objects.
    """
    with META:
        sam: Any = build_sam(SHAPES[config.sam_variant])
        dino, pem = DinoV2(), PoseEstimationModel()
    with as_gpu():
        nets = SimpleNamespace(config=config, device=META, dtype=dtype, pem=pem)
        estimator = PemEstimator(nets, SimpleNamespace())  # type: ignore[arg-type]
        code_mb, graph_mb = _poses(pem, estimator.chunk)
        graphs = {
            "SAM encoder": peak_mb(lambda: sam.image_encoder(empty(1, 3, 1024, 1024))),
            f"poses of {estimator.chunk}": graph_mb,
        }
        stages = {
            "proposals": _proposals(SamSegmenter(sam, config, dtype)),
            "scores": _scores(Describer(dino, META, dtype, config.memory_budget_mb)),
            "first poses": graph_mb,  # run launch by launch before the graph is recorded
            # codes of several objects are joined, that of one is not
            "poses": estimator.chunk * code_mb if objects > 1 else 0.0,
        }
        views_mb = config.views * 257 * 1024 * 4 / MB
        reduced = [*reduced_parts(sam), dino.vit, pem.feature_extraction.rgb_net]
        for part in reduced:
            hold_weights(part, dtype)
        weights = sum(_weights(net) for net in (sam, dino, pem))
    return Estimate(weights, graphs, objects * (code_mb + views_mb), stages)


def _weights(net: nn.Module) -> float:
    values = (*net.parameters(), *net.buffers())
    return sum(value.nbytes for value in values) / MB


def _proposals(segmenter: SamSegmenter) -> float:
    """Return the memory of prompts that are decoded, kept, and whose masks are measured."""
    features = empty(1, 256, 64, 64)
    cut = Cut(segmenter.sam, INPUT_HW, IMAGE_HW, 0.97)
    chunk, group = segmenter._batches(features, cut)
    prompts = segmenter.config.points_per_side**2
    chunk, group = min(chunk, prompts), min(group, prompts)
    decoder = SharedDecoder(segmenter.sam, features)
    decoded = decoder.attend(empty(chunk, 2))
    rows, chosen = (torch.arange(n, device=META) for n in (chunk, 3 * chunk))
    attend = peak_mb(lambda: decoder.attend(empty(chunk, 2)))
    measure = peak_mb(lambda: cut.measure(decoder.masks(decoded, rows, chosen)))
    kept = group * segmenter.held_mb(features)
    logits = GOOD_SHARE * 3 * prompts * 256 * 256 * 4 / MB
    return kept + max(attend, measure + logits, 2 * logits)


def _scores(describer: Describer) -> float:
    """Return the memory of the crops of one chunk and of all descriptors."""
    chunk = min(describer.chunk, PROPOSALS)
    network = peak_mb(lambda: describer.network(empty(chunk, 3, 224, 224)))
    masks = PROPOSALS * IMAGE_HW[0] * IMAGE_HW[1] / MB
    return network + masks + PROPOSALS * 257 * 1024 * 4 / MB


def _poses(pem: PoseEstimationModel, count: int) -> tuple[float, float]:
    """Return the memory of one object's code, and that of the graphs with their inputs."""
    code = object_code(pem)
    size = sum(t.nbytes for t in code.tensors) / MB

    def run() -> None:
        inputs = [empty(count, *t.shape[1:], dtype=t.dtype) for t in code.tensors]
        run_poses(pem, ObjectCode(*inputs), count)

    return size, peak_mb(run)


def object_code(pem: PoseEstimationModel) -> ObjectCode:
    """Return the code of an object; within :func:`as_gpu`."""
    points = pem.config.dense_points
    return pem.encode_object(empty(1, points, 3), empty(1, points, 256), empty(1, 1024, 3))


def run_poses(pem: PoseEstimationModel, code: ObjectCode, count: int) -> None:
    """Find the poses of some detections; within :func:`as_gpu`."""
    config = pem.config
    bgr = empty(count, 224, 224, 3, dtype=torch.uint8)
    flat = empty(count, config.dense_points, dtype=torch.int64)
    points = empty(count, config.dense_points, 3)
    uniforms = empty(count, 3 * config.hypotheses)
    features = pem.feature_extraction(bgr, flat)
    steps = pem.predict_steps(features, points, code, uniforms)
    found = advance(steps)
    while isinstance(found, HostWork):
        host = (torch.zeros(t.shape, dtype=t.dtype) for t in found.tensors)
        found = advance(steps, tuple(t.to(META) for t in found.work(*host)))


def main() -> None:
    """Print the estimate of each preset."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_memory", description=__doc__)
    parser.add_argument("words", nargs="*", help="settings as name=value (default: each preset)")
    parser.add_argument("--objects", type=int, default=1, help="registered objects (default: 1)")
    options = parser.parse_args()
    wanted = [" ".join(options.words)] if options.words else [f"preset={n}" for n in PRESETS]
    for words in wanted:
        found = estimate(Sam6dConfig.parse(words), objects=options.objects)
        parts = {"weights": found.weights, **found.graphs, "objects": found.objects}
        print(words, json.dumps({k: round(v) for k, v in (parts | found.stages).items()}))
        print(f"  total {found.total / 1024:.2f} GB")


if __name__ == "__main__":
    main()
