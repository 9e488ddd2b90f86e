"""Analysis of stream pictures: boxes of a detector, or poses in frames with depth; drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.detectors.draw import draw_boxes
from sam6d_ros.errors import InvalidInput
from sam6d_ros.runtime.streams.picture import Image, Picture
from sam6d_ros.types import Boxes, Frame, PoseEstimates
from sam6d_ros.visualize import draw_poses


@dataclass(frozen=True, eq=False)
class Analysed:
    """Result for one picture.

    Attributes:
        image_rgb: (H, W, 3) uint8, with the result drawn.
        result: of the detector or of the pose estimation; None where there is no analysis.
    """

    image_rgb: Image
    result: Boxes | PoseEstimates | None = None


Analysis = Callable[[Picture], Analysed]


def plain(picture: Picture) -> Analysed:
    """Return the picture as it is."""
    return Analysed(picture.image_rgb)


def detection(detect: Callable[[Image], Boxes]) -> Analysis:
    """Return the analysis by a detector.

    Args:
        detect: boxes of an image (H, W, 3) uint8 RGB.
    """

    def analyse(picture: Picture) -> Analysed:
        boxes = detect(picture.image_rgb)
        return Analysed(draw_boxes(picture.image_rgb, boxes), boxes)

    return analyse


def poses(
    estimate: Callable[[Frame], PoseEstimates], models: Callable[[], Mapping[str, ObjectModel]]
) -> Analysis:
    """Return the analysis by pose estimation.

    Args:
        estimate: poses in a frame.
        models: returns the objects by name, to draw them.
    """

    def analyse(picture: Picture) -> Analysed:
        frame = picture.frame
        if frame is None:
            raise InvalidInput(
                "this source has no depth, which poses need; use frames:FOLDER, or a detector"
            )
        found = estimate(frame)
        image = draw_poses(picture.image_rgb, frame.camera, found.items, models())
        return Analysed(image, found)

    return analyse
