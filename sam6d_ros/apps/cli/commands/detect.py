"""`sam6d detect`: boxes in images, videos and camera streams, by any detector."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.apps.cli.options import add_command
from sam6d_ros.apps.cli.output import write_png
from sam6d_ros.apps.interrupts import unlimited
from sam6d_ros.detectors.draw import draw_boxes
from sam6d_ros.detectors.images import Video, VideoFile
from sam6d_ros.detectors.model import DEFAULT_THRESHOLD
from sam6d_ros.detectors.protocol import Detector
from sam6d_ros.detectors.table import open_detector
from sam6d_ros.detectors.triton.client import DEFAULT_PORTS
from sam6d_ros.errors import InvalidInput
from sam6d_ros.frames import read_rgb
from sam6d_ros.runtime.error_table import NOTHING_FOUND
from sam6d_ros.types import Boxes

JSON_NAME, VIDEO_NAME = "detections.json", "boxes.mp4"
REPORT_PERIOD_S = 2.0  # between two lines of the frame rate

DESCRIPTION = """\
Boxes with names and scores of a Triton server's model, or of a model file.

examples:
  sam6d detect desk.png --out out                          fasterrcnn at 127.0.0.1:8000
  sam6d detect *.png --protocol grpc --model centernet --threshold 0.3 --out out
  sam6d detect desk.png --detector REPO/centernet --out out      without a server
  sam6d detect --video rtsp://camera/stream --out out            frame rate, and a video

Written: NAME_boxes.png for each image, or boxes.mp4, and detections.json (pixels: left, top, right,
bottom; 0 is the outer edge of the first pixel)."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "detect", "boxes in images and videos", DESCRIPTION)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="image files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--camera", type=int, metavar="N", help="number of a camera")
    parser.add_argument("--video", metavar="FILE", help="video file, or an address (rtsp://…)")
    parser.add_argument(
        "--frames", type=int, metavar="N", help="end after N frames (default: at the end)"
    )
    parser.add_argument(
        "--detector",
        metavar="SOURCE",
        help="model file or folder, or http://HOST:PORT/MODEL; instead of the server's options",
    )
    parser.add_argument("--url", help="host and port of the server (default: 127.0.0.1, 8000/8001)")
    parser.add_argument("--protocol", choices=tuple(DEFAULT_PORTS), default="http")
    parser.add_argument(
        "--model", default="fasterrcnn", help="model of the server (default: %(default)s)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=DEFAULT_THRESHOLD,
        help="lowest score of a box, 0 to 1 (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Detect in the images, or in the video."""
    if bool(args.images) + (args.camera is not None) + (args.video is not None) != 1:
        raise InvalidInput("give images, or --camera, or --video: one of them")
    args.out.mkdir(parents=True, exist_ok=True)
    detector = open_detector(source_of(args), args.threshold)
    try:
        if args.images:
            entries = list(detect_images(args, detector))
        else:
            with unlimited():  # Ctrl-C is the usual end: the files are written then
                entries = list(detect_video(args, detector))
    finally:
        detector.close()
    path = args.out / JSON_NAME
    path.write_text(json.dumps(entries, indent=1) + "\n")
    names = Counter(box["label"] for entry in entries for box in entry["boxes"])
    print(", ".join(f"{count} {name}" for name, count in names.most_common()) or "no box")
    print(path)
    return 0 if names else NOTHING_FOUND


def source_of(args: argparse.Namespace) -> str:
    """Return the detector as `open_detector` takes it."""
    if args.detector:
        return str(args.detector)
    url = args.url or f"127.0.0.1:{DEFAULT_PORTS[args.protocol]}"
    return f"{args.protocol}://{url}/{args.model}"


def detect_images(args: argparse.Namespace, detector: Detector) -> Iterator[dict[str, Any]]:
    """Yield what is found in each image, and write its picture."""
    for path, name in zip(args.images, picture_names(args.images), strict=True):
        image = read_rgb(path)
        (boxes,) = detector.detect([image])
        write_png(args.out / name, draw_boxes(image, boxes))
        yield {"image": str(path), **as_dict(boxes, image)}


def picture_names(paths: Iterable[Path]) -> list[str]:
    """Return one name for each image; images of one name in several folders are numbered."""
    used: Counter[str] = Counter()
    names = []
    for path in paths:
        used[path.stem] += 1
        number = f"_{used[path.stem]}" if used[path.stem] > 1 else ""
        names.append(f"{path.stem}{number}_boxes.png")
    return names


def detect_video(args: argparse.Namespace, detector: Detector) -> Iterator[dict[str, Any]]:
    """Yield what is found in each frame, write the video, and print the frame rate."""
    video = Video(args.camera if args.camera is not None else args.video)
    written: VideoFile | None = None
    start = reported = time.monotonic()
    count = 0
    try:
        for count, image in enumerate(video, 1):
            (boxes,) = detector.detect([image])
            picture = draw_boxes(image, boxes)
            written = written or VideoFile(args.out / VIDEO_NAME, image.shape[:2], video.fps)
            written.write(picture)
            yield {"frame": count - 1, **as_dict(boxes, image)}
            now = time.monotonic()
            if now - reported > REPORT_PERIOD_S:
                print(f"{count / (now - start):.1f} frames/s", flush=True)
                reported = now
            if count == args.frames:
                break
    except KeyboardInterrupt:
        pass  # the usual end of a camera: what was found until then is kept
    finally:
        video.close()
        if written is not None:
            written.close()
    if count == 0:
        raise InvalidInput("the video source gave no frame")
    print(f"{count} frames, {count / max(time.monotonic() - start, 1e-9):.1f} frames/s")


def as_dict(boxes: Boxes, image: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the boxes as plain values for JSON."""
    height, width = image.shape[:2]
    rows = zip(boxes.labels, boxes.scores, boxes.xyxy, strict=True)
    return {
        "width": width,
        "height": height,
        "boxes": [
            {
                "label": label,
                "score": round(float(score), 4),
                "xyxy": [round(float(edge), 2) for edge in xyxy],
            }
            for label, score, xyxy in rows
        ],
    }
