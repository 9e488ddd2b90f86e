"""Convolutional networks in the graph format of TensorFlow.js, as torch modules.

A JSON file lists the operations in the order of computation; a binary file holds the constants one
after the other. Tensors there are (B, H, W, C), here (B, C, H, W).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sam6d_ros.errors import CheckpointError

Tensors = Sequence[torch.Tensor]
STORED = {"float16": np.float16, "float32": np.float32, "int32": np.int32}


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: of its result.
        op: TensorFlow's name of the operation.
        inputs: names of the results and constants that it takes.
        attributes: decoded: text, lists of text, or lists of integers.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]


def read_graph(json_path: Path, bin_path: Path) -> tuple[list[Node], dict[str, NDArray]]:
    """Return the operations and the constants of a model.

    Raises:
        CheckpointError: a file is missing, damaged or in another format.
    """
    try:
        model = json.loads(json_path.read_text())
        data = bin_path.read_bytes()
        nodes = [_node(entry) for entry in model["modelTopology"]["node"]]
        entries = [entry for group in model["weightsManifest"] for entry in group["weights"]]
        return nodes, _constants(entries, data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{json_path} is no graph of TensorFlow.js: {error}") from error


class GraphModule(torch.nn.Module):
    """The part of a graph that some of its results depend on.

    Args:
        nodes: all operations, in the order of computation.
        constants: as `read_graph` returns them.
        outputs: names of the results that `forward` returns.

    Raises:
        CheckpointError: a result is missing, or an operation is not known here.
    """

    def __init__(
        self, nodes: Sequence[Node], constants: dict[str, NDArray], outputs: Sequence[str]
    ) -> None:
        super().__init__()
        self._outputs = tuple(outputs)
        self._nodes = _needed(nodes, constants, outputs)
        self._input = next(node.name for node in nodes if node.op == "Placeholder")
        self._buffer_of: dict[str, str] = {}
        for node in self._nodes:
            if node.op not in _OPERATIONS:
                raise CheckpointError(f"operation {node.op} ('{node.name}') is not known")
            for name in node.inputs:
                if name in constants:
                    self._keep(name, constants[name], node.op)

    def _keep(self, name: str, value: NDArray, op: str) -> None:
        self._buffer_of[name] = f"constant_{len(self._buffer_of)}"
        tensor = torch.from_numpy(np.array(value))
        if value.ndim == 4:  # (H, W, in, out), or (H, W, channels, 1) of a convolution by channel
            tensor = tensor.permute((2, 3, 0, 1) if "Depthwise" in op else (3, 2, 0, 1))
        self.register_buffer(self._buffer_of[name], tensor.contiguous())

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs for images (B, 3, H, W) float32."""
        values = {self._input: images}
        values |= {name: getattr(self, buffer) for name, buffer in self._buffer_of.items()}
        for node in self._nodes:
            values[node.name] = _OPERATIONS[node.op]([values[n] for n in node.inputs], node)
        return tuple(values[name] for name in self._outputs)


def _node(entry: dict[str, Any]) -> Node:
    names = tuple(name.removesuffix(":0") for name in entry.get("input", ()))
    attributes = {key: _attribute(value) for key, value in entry.get("attr", {}).items()}
    return Node(entry["name"], entry["op"], names, attributes)


def _attribute(value: dict[str, Any]) -> Any:
    if "s" in value:
        return base64.b64decode(value["s"]).decode()
    listed = value.get("list", {})
    if "s" in listed:
        return [base64.b64decode(text).decode() for text in listed["s"]]
    return [int(number) for number in listed.get("i", ())]


def _constants(entries: list[dict[str, Any]], data: bytes) -> dict[str, NDArray]:
    constants, start = {}, 0
    for entry in entries:
        stored = STORED[entry.get("quantization", entry)["dtype"]]
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(data, stored, count, start).reshape(entry["shape"])
        constants[entry["name"]] = values.astype(STORED[entry["dtype"]])
        start += values.nbytes
    if start != len(data):
        raise ValueError(f"the constants take {start} bytes of {len(data)}")
    return constants


def _needed(
    nodes: Sequence[Node], constants: dict[str, NDArray], outputs: Sequence[str]
) -> list[Node]:
    wanted = set(outputs)
    missing = wanted - {node.name for node in nodes}
    if missing:
        raise CheckpointError(f"the graph has no result {sorted(missing)}")
    kept = []
    for node in reversed(nodes):
        if node.name in wanted and node.op != "Placeholder" and node.name not in constants:
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def _convolution(inputs: Tensors, node: Node) -> torch.Tensor:
    image, kernel = inputs[0], inputs[1]
    stride = node.attributes["strides"][1]
    if node.attributes["padding"] == "SAME":
        image = torch.nn.functional.pad(image, _same(image, kernel, stride))
    groups = kernel.shape[0] if "Depthwise" in node.op else 1
    bias = inputs[2] if len(inputs) > 2 else None
    result = torch.nn.functional.conv2d(image, kernel, bias, stride, groups=groups)
    activations = [name for name in node.attributes.get("fused_ops", []) if name != "BiasAdd"]
    for name in activations:
        result = _OPERATIONS[name]([result], node)
    return result


def _same(image: torch.Tensor, kernel: torch.Tensor, stride: int) -> list[int]:
    """Return the padding (left, right, top, bottom) of TensorFlow: more at the end."""
    sides = []
    for axis in (3, 2):
        length, size = int(image.shape[axis]), int(kernel.shape[axis])
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        sides += [total // 2, total - total // 2]
    return sides


def _twice(inputs: Tensors, _: Node) -> torch.Tensor:
    """Enlarge by 2, bilinearly, with the corner of the first pixel as the origin."""
    image = inputs[0]
    for axis in (2, 3):
        following = torch.cat([image, image.narrow(axis, image.shape[axis] - 1, 1)], axis)
        following = following.narrow(axis, 1, image.shape[axis])
        pairs = torch.stack([image, (image + following) / 2], axis + 1)
        image = pairs.flatten(axis, axis + 1)
    return image


_OPERATIONS: dict[str, Callable[[Tensors, Node], torch.Tensor]] = {
    "Conv2D": _convolution,
    "_FusedConv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "FusedDepthwiseConv2dNative": _convolution,
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "AddV2": lambda inputs, _: inputs[0] + inputs[1],
    "Mul": lambda inputs, _: inputs[0] * inputs[1],
    "Relu": lambda inputs, _: torch.relu(inputs[0]),
    "Relu6": lambda inputs, _: torch.clamp(inputs[0], 0.0, 6.0),
    "Sigmoid": lambda inputs, _: torch.sigmoid(inputs[0]),
    "Identity": lambda inputs, _: inputs[0],
    "Mean": lambda inputs, _: inputs[0].mean((2, 3), keepdim=True),
    "ConcatV2": lambda inputs, _: torch.cat(list(inputs[:-1]), 1),
    "ResizeBilinear": _twice,
}
