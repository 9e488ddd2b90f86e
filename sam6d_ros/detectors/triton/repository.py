"""Model repository of Triton: `NAME/config.pbtxt`, `NAME/1/model.*`, and the manifest."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.detectors.export import FILES, INPUT_NAME, OUTPUT_NAMES
from sam6d_ros.detectors.manifest import FILE_NAME, Manifest
from sam6d_ros.errors import InvalidConfig

PLATFORMS = {"torchscript": "pytorch_libtorch", "onnx": "onnxruntime_onnx"}
PARAMETER = "sam6d_detector"  # key of the manifest in config.pbtxt
VERSION = "1"
CONFIG = "config.pbtxt"
WARM_UP_SIZE_HW = (480, 640)  # pixels, for models that take any size
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class ServingOptions:
    """Settings by which Triton runs a model.

    Attributes:
        max_batch: largest number of images in one execution.
        preferred_batch: sizes that the batcher forms without waiting.
        queue_delay_us: longest wait for more requests, microseconds.
        instances: processes of the model.
        gpu: whether they run on GPUs.
        warm_up: whether the model runs once on a black image before it counts as ready.
    """

    max_batch: int = 1
    preferred_batch: tuple[int, ...] = (1,)
    queue_delay_us: int = 100
    instances: int = 1
    gpu: bool = False
    warm_up: bool = True

    def __post_init__(self) -> None:
        if self.max_batch < 1 or self.instances < 1 or self.queue_delay_us < 0:
            raise InvalidConfig(
                f"`max_batch` is {self.max_batch}, `instances` {self.instances} and "
                f"`queue_delay_us` {self.queue_delay_us}; expected 1, 1 and 0, or more"
            )
        if not all(1 <= size <= self.max_batch for size in self.preferred_batch):
            raise InvalidConfig(
                f"preferred batches {list(self.preferred_batch)} are not all within 1 and the "
                f"largest batch, {self.max_batch}"
            )


def write_model(
    repository: Path, manifest: Manifest, platform_format: str, options: ServingOptions
) -> Path:
    """Write the configuration and the manifest of a model whose files are in place.

    Args:
        repository: folder of all models.
        manifest: of the model; its name is the folder's.
        platform_format: `torchscript` or `onnx`: the file that Triton loads.
        options: how it is run.

    Returns:
        The model's folder.

    Raises:
        InvalidConfig: a name that Triton refuses, an unknown format, or too large a batch.
    """
    if not NAME_PATTERN.fullmatch(manifest.name):
        raise InvalidConfig(f"'{manifest.name}' is no name of a model: letters, digits, '_.-'")
    if platform_format not in PLATFORMS:
        raise InvalidConfig(f"format '{platform_format}'; expected one of {', '.join(PLATFORMS)}")
    if options.max_batch > manifest.max_batch:
        raise InvalidConfig(
            f"the largest batch is {options.max_batch}; '{manifest.name}' takes "
            f"{manifest.max_batch} at once"
        )
    folder = repository / manifest.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(manifest.to_json() + "\n", encoding="utf-8")
    (folder / CONFIG).write_text(config_text(manifest, platform_format, options), encoding="utf-8")
    return folder


def version_folder(repository: Path, name: str) -> Path:
    """Return the folder of the model's files."""
    return repository / name / VERSION


def config_text(manifest: Manifest, platform_format: str, options: ServingOptions) -> str:
    """Return `config.pbtxt` of a detector with the layout `boxes`."""
    height, width = manifest.input.size_hw or (-1, -1)
    lines = [
        f'name: "{manifest.name}"',
        f'platform: "{PLATFORMS[platform_format]}"',
        f"max_batch_size: {options.max_batch}",
        f'default_model_filename: "{FILES[platform_format]}"',
        f'input [ {{ name: "{INPUT_NAME}" data_type: TYPE_FP32 dims: [ 3, {height}, {width} ] }} ]',
        "output [",
        f'  {{ name: "{OUTPUT_NAMES[0]}" data_type: TYPE_FP32 dims: [ -1, 4 ] }},',
        f'  {{ name: "{OUTPUT_NAMES[1]}" data_type: TYPE_INT64 dims: [ -1 ] }},',
        f'  {{ name: "{OUTPUT_NAMES[2]}" data_type: TYPE_FP32 dims: [ -1 ] }}',
        "]",
        f"instance_group [ {{ count: {options.instances} "
        f"kind: {'KIND_GPU' if options.gpu else 'KIND_CPU'} }} ]",
        "dynamic_batching {",
        f"  preferred_batch_size: [ {', '.join(map(str, options.preferred_batch))} ]",
        f"  max_queue_delay_microseconds: {options.queue_delay_us}",
        "}",
        f'parameters {{ key: "{PARAMETER}" '
        f"value {{ string_value: {json.dumps(manifest.to_json())} }} }}",
    ]
    if options.warm_up:
        dims = ", ".join(map(str, (3, *(manifest.input.size_hw or WARM_UP_SIZE_HW))))
        lines += [
            'model_warmup [ { name: "black" batch_size: 1 inputs { key: "input__0"',
            f"  value {{ data_type: TYPE_FP32 dims: [ {dims} ] zero_data: true }} }} }} ]",
        ]
    return "\n".join(lines) + "\n"


def models_of(repository: Path) -> list[str]:
    """Return the names of the models in a repository.

    Raises:
        InvalidConfig: the folder is missing or holds no model.
    """
    names = sorted(path.parent.name for path in repository.glob(f"*/{CONFIG}"))
    if not names:
        raise InvalidConfig(
            f"'{repository}' holds no model (NAME/{CONFIG}); make one: "
            "sam6d detector export fasterrcnn --out REPO"
        )
    return names
