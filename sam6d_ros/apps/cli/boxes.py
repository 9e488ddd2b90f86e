"""Options of a 2D detector in front of the poses, and the boxes it gives."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.detectors.model import DEFAULT_THRESHOLD
from sam6d_ros.detectors.protocol import Detector
from sam6d_ros.detectors.table import open_detector
from sam6d_ros.types import Boxes, Frame


def add_detector_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options; return their group."""
    group = parser.add_argument_group("2D detector in front (docs/detectors.md)")
    group.add_argument(
        "--detector",
        metavar="SOURCE",
        help="search each object only in the boxes of its classes: model file or folder, "
        "http://HOST:PORT/MODEL or grpc://HOST:PORT/MODEL (default: search the whole frame)",
    )
    group.add_argument(
        "--detector-threshold",
        type=float,
        default=DEFAULT_THRESHOLD,
        metavar="SCORE",
        help="lowest score of a box, 0 to 1 (default: %(default)s)",
    )
    return group


@contextmanager
def detector_of(args: argparse.Namespace) -> Iterator[Detector | None]:
    """Open the detector of the options, and close it at the end; None without one.

    Yields:
        The detector, or None.

    Raises:
        InvalidConfig, BackendUnavailable, NotReady: see ``open_detector``.
    """
    if not args.detector:
        yield None
        return
    detector = open_detector(args.detector, args.detector_threshold)
    try:
        yield detector
    finally:
        detector.close()


def boxes_in(frame: Frame, detector: Detector | None) -> Boxes | None:
    """Return the boxes of a frame; None without a detector."""
    if detector is None:
        return None
    (boxes,) = detector.detect([frame.rgb])
    return replace(boxes, stamp_ns=frame.stamp_ns)


def show_warning(text: str) -> None:
    """Print what was left out of the input."""
    CONSOLE.print(f"note: {text}", markup=False)
