"""Torch modules -> TorchScript and ONNX files, each compared with the module before it is kept."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.manifest import Manifest
from sam6d_ros.detectors.onnx import OnnxRunner
from sam6d_ros.detectors.preprocess import prepare
from sam6d_ros.detectors.torchscript import TorchScriptRunner
from sam6d_ros.errors import BackendUnavailable, InvalidConfig, InvariantError, install_extra

if TYPE_CHECKING:
    import torch

INPUT_NAME = "input__0"
OUTPUT_NAMES = ("output__0", "output__1", "output__2")
FILES = {"torchscript": "model.pt", "onnx": "model.onnx"}
BOX_TOLERANCE_PX = 1e-2  # ONNX Runtime orders sums differently: 1.4e-3 seen at 640 × 480
SCORE_TOLERANCE = 1e-4
OPSET = 17


@dataclass(frozen=True)
class Exportable:
    """A detector that can be written to files.

    Attributes:
        manifest: input form, labels and layout of the detector.
        module: torch module of batch-first tensors, in evaluation mode; written as TorchScript.
        traceable: the same, written as ONNX; takes one image unless it is `module` itself.
        script: turns `module` into TorchScript.
    """

    manifest: Manifest
    module: torch.nn.Module
    traceable: torch.nn.Module
    script: Callable[[torch.nn.Module], torch.jit.ScriptModule]


@dataclass(frozen=True)
class Written:
    """One file and its largest deviations from the module.

    Attributes:
        path: the file.
        boxes: number of boxes in the photo.
        box_error_px: largest difference of an edge, pixels of the input.
        score_error: largest difference of a score.
    """

    path: Path
    boxes: int
    box_error_px: float
    score_error: float


def export(
    detector: Exportable, photo_rgb: NDArray[np.uint8], folder: Path, formats: Sequence[str]
) -> list[Written]:
    """Write the files of a detector, and keep those that agree with its module on a photo.

    Args:
        detector: module and manifest.
        photo_rgb: (H, W, 3) uint8, RGB.
        folder: where the files are put.
        formats: of `FILES`.

    Returns:
        The files that were kept.

    Raises:
        InvalidConfig: an unknown format.
        BackendUnavailable: a package that the format needs is missing.
        InvariantError: a file gives other boxes than the module; it is removed.
    """
    unknown = [name for name in formats if name not in FILES]
    if unknown or not formats:
        raise InvalidConfig(f"formats are {list(formats)}; expected some of {', '.join(FILES)}")
    tensor, _ = prepare(photo_rgb, detector.manifest.input)
    wanted = _eager(detector.module, tensor)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in formats:
        path, draft = folder / FILES[name], folder / f".draft-{FILES[name]}"
        try:
            _WRITERS[name](detector, tensor, draft)
            runner = OnnxRunner(draft) if name == "onnx" else TorchScriptRunner(draft)
            found = runner.run([tensor])[0]
            runner.close()
            written.append(_compared(path, wanted, found))
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return written


def _eager(module: torch.nn.Module, tensor: NDArray[np.float32]) -> tuple[NDArray, ...]:
    import torch

    with torch.inference_mode():
        return tuple(output[0].numpy() for output in module(torch.from_numpy(tensor)[None]))


def _compared(path: Path, wanted: Sequence[NDArray], found: Sequence[NDArray]) -> Written:
    shapes = [array.shape for array in found]
    if shapes != [array.shape for array in wanted]:
        raise InvariantError(
            f"{path.name} gives outputs {shapes}, the module {[a.shape for a in wanted]}"
        )
    box_error, score_error = (float(np.abs(found[k] - wanted[k]).max(initial=0)) for k in (0, 2))
    same_labels = bool((found[1] == wanted[1]).all())
    if not (same_labels and box_error <= BOX_TOLERANCE_PX and score_error <= SCORE_TOLERANCE):
        raise InvariantError(
            f"{path.name} deviates from the module: boxes by {box_error:.2g} px (limit "
            f"{BOX_TOLERANCE_PX}), scores by {score_error:.2g} (limit {SCORE_TOLERANCE}), labels "
            f"{'equal' if same_labels else 'differ'}"
        )
    return Written(path, len(wanted[1]), box_error, score_error)


def _write_torchscript(detector: Exportable, _: NDArray, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the format is deprecated; Triton's backend loads it
        detector.script(detector.module).save(str(path))


def _write_onnx(detector: Exportable, tensor: NDArray, path: Path) -> None:
    import torch

    batch = {0: "batch"} if detector.traceable is detector.module else {}
    fixed = detector.manifest.input.size_hw is not None
    axes = {INPUT_NAME: batch | ({} if fixed else {2: "height", 3: "width"})}
    axes |= {name: batch | ({} if fixed else {1: "boxes"}) for name in OUTPUT_NAMES}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer warns of every constant
        try:
            torch.onnx.export(
                detector.traceable,
                (torch.from_numpy(tensor)[None],),
                str(path),
                input_names=[INPUT_NAME],
                output_names=list(OUTPUT_NAMES),
                dynamic_axes={name: kept for name, kept in axes.items() if kept},
                opset_version=OPSET,
                dynamo=False,  # the other exporter cannot write loops over boxes
            )
        except ImportError as error:
            raise BackendUnavailable(
                f"ONNX files need onnx ({error}); {install_extra('detectors')}"
            ) from error


_WRITERS: dict[str, Callable[[Exportable, NDArray, Path], None]] = {
    "torchscript": _write_torchscript,
    "onnx": _write_onnx,
}
