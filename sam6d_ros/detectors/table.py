"""Detectors by file, by address, or by a name that another package adds.

A package adds detectors by an entry point of the group `sam6d_ros.detectors`: a callable that
takes the text after the colon and the threshold and returns a `protocol.Detector`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.buffers import Buffers
from sam6d_ros.detectors.export import FILES
from sam6d_ros.detectors.manifest import FILE_NAME, Manifest, read_manifest
from sam6d_ros.detectors.model import DEFAULT_THRESHOLD, ModelDetector
from sam6d_ros.detectors.protocol import Detector, Runner
from sam6d_ros.detectors.triton.client import ServedModel, connect
from sam6d_ros.detectors.triton.repository import VERSION
from sam6d_ros.errors import InvalidConfig, UnknownName
from sam6d_ros.types import Boxes

GROUP = "sam6d_ros.detectors"
PROTOCOLS = ("http", "grpc")


def open_detector(
    source: str,
    threshold: float = DEFAULT_THRESHOLD,
    device: str = "cpu",
    buffers: Buffers | None = None,
) -> Detector:
    """Open a detector.

    Args:
        source: a model file (`.pt`, `.onnx`, `.engine`, `.trt`), the folder of a model in a
            repository, `http://HOST:PORT/MODEL` or `grpc://HOST:PORT/MODEL` for a Triton server,
            or `NAME:TEXT` for a detector of another package.
        threshold: lowest score of a returned box.
        device: of a model file, as its library names it; an engine runs on CUDA in any case.
        buffers: memory of the input tensors (default: new for each call).

    Returns:
        The detector; ``close`` frees it.

    Raises:
        InvalidConfig: no such file, or a file without manifest.
        UnknownName: no detector of that name.
        BackendUnavailable: the library of the backend is missing, or no server answers.
        CheckpointError: the file is damaged.
        NotReady: the model is not loaded at the server.
    """
    scheme, separator, rest = source.partition(":")
    if scheme in PROTOCOLS and separator:
        return connect(_served(scheme, rest), threshold=threshold, buffers=buffers)
    path = Path(source)
    if path.exists():
        file = model_file(path)
        manifest = _manifest_of(file)
        runner = _runner(file, manifest, device, buffers)
        return ModelDetector(manifest, runner, threshold, buffers)
    if separator:
        return _of_package(scheme, rest, threshold)
    raise InvalidConfig(
        f"no detector at '{source}'; give a model file or folder, http://HOST:PORT/MODEL or "
        "grpc://HOST:PORT/MODEL"
    )


def _served(protocol: str, rest: str) -> ServedModel:
    url, _, name = rest.removeprefix("//").partition("/")
    if not url or not name or "/" in name:
        raise InvalidConfig(f"'{protocol}:{rest}' names no model; expected //HOST:PORT/MODEL")
    return ServedModel(name, url, protocol)


def model_file(path: Path) -> Path:
    """Return the model file at a path: the file itself, or the one in a model's folder.

    Raises:
        InvalidConfig: the folder holds none.
    """
    if path.is_file():
        return path
    places = [folder / name for folder in (path / VERSION, path) for name in FILES.values()]
    for place in places:
        if place.is_file():
            return place
    raise InvalidConfig(f"'{path}' holds none of {', '.join(FILES.values())}")


def _manifest_of(file: Path) -> Manifest:
    """Read the manifest beside a file, or one folder up as in a repository."""
    up = file.parent.parent
    beside = (file.parent / FILE_NAME).is_file()
    return read_manifest(up if not beside and (up / FILE_NAME).is_file() else file.parent)


def _runner(file: Path, manifest: Manifest, device: str, buffers: Buffers | None) -> Runner:
    build = _RUNNERS.get(file.suffix)
    if build is None:
        raise InvalidConfig(f"'{file}': expected a file {', '.join(_RUNNERS)}")
    return build(file, manifest, device, buffers)


def _torchscript(file: Path, manifest: Manifest, device: str, buffers: Buffers | None) -> Runner:
    from sam6d_ros.detectors.torchscript import TorchScriptRunner

    return TorchScriptRunner(file, manifest.max_batch, device, buffers)


def _onnx(file: Path, manifest: Manifest, device: str, _: Buffers | None) -> Runner:
    from sam6d_ros.detectors.onnx import OnnxRunner

    return OnnxRunner(file, manifest.max_batch, device)


def _tensorrt(file: Path, manifest: Manifest, device: str, buffers: Buffers | None) -> Runner:
    from sam6d_ros.detectors.tensorrt import TensorRtRunner

    device = "cuda" if device == "cpu" else device
    return TensorRtRunner(file, manifest.max_batch, device, buffers)


_RUNNERS: dict[str, Callable[[Path, Manifest, str, Buffers | None], Runner]] = {
    ".pt": _torchscript,
    ".onnx": _onnx,
    ".engine": _tensorrt,
    ".trt": _tensorrt,
}


def detect_from(detector: Detector, image_rgb: NDArray[np.uint8], threshold: float) -> Boxes:
    """Detect in one image with a threshold of this call.

    Args:
        detector: open; below its own threshold, one of another package may return nothing.
        image_rgb: (H, W, 3) uint8, RGB.
        threshold: lowest score of a returned box, 0 to 1.

    Returns:
        The boxes.

    Raises:
        InvalidInput, BackendUnavailable: as ``Detector.detect``.
    """
    if isinstance(detector, ModelDetector):
        (found,) = detector.detect_each([image_rgb], [threshold])
        if not isinstance(found, Boxes):
            raise found
        return found
    (boxes,) = detector.detect([image_rgb])
    return boxes.from_score(threshold)


def _of_package(name: str, text: str, threshold: float) -> Detector:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise UnknownName(f"no detector '{name}'; detectors of installed packages: {known}")
    detector: Detector = found[name].load()(text, threshold)
    return detector
