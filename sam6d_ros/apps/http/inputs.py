"""Bodies of requests → frames, detections and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam6d_ros.apps.http.decode import decode_depth, decode_mask, decode_rgb, make_frame
from sam6d_ros.apps.http.limits import Roots, check_count
from sam6d_ros.apps.http.schemas.common import FrameBody
from sam6d_ros.apps.http.schemas.pem import DetectionsIn
from sam6d_ros.apps.http.settings import Limits
from sam6d_ros.errors import InvalidInput
from sam6d_ros.types import Detection, Detections, Frame


@dataclass(frozen=True)
class Images:
    """Images of a request: base64 text, or the bytes of uploaded files."""

    rgb: str | bytes
    depth: str | bytes

    @classmethod
    def of(cls, body: FrameBody) -> Images:
        """Return the images of a JSON body."""
        return cls(body.rgb_image, body.depth_image)


@dataclass(frozen=True)
class Masks:
    """Detections of a request.

    Attributes:
        detections: of the masks that are usable.
        numbers: index of the mask by instance id.
        failures: reason by index, for the other masks.
    """

    detections: Detections
    numbers: dict[str, int]
    failures: dict[int, str]


def decode_frame(body: FrameBody, images: Images, limits: Limits) -> Frame:
    """Return the frame of a request.

    Raises:
        InvalidFrame, InvalidCamera, TooLarge: it is unusable.
    """
    rgb = decode_rgb(images.rgb, "rgb_image", limits)
    scale = body.cam_params.depth_scale
    depth = decode_depth(images.depth, "depth_image", scale, limits)
    return make_frame(rgb, depth, body.cam_params.cam_K)


def decode_masks(
    given: DetectionsIn, shape: tuple[int, int], names: Sequence[str], limits: Limits
) -> Masks:
    """Return the detections of a request; a mask that is unusable does not harm the others.

    Args:
        shape: (height, width) of the image.
        names: objects of the request, in its order.
        given: detections of the request.
        limits: largest number of masks.

    Raises:
        InvalidInput: no mask is usable; names the first reason.
        TooLarge: there are too many.
    """
    check_count("detections.masks", len(given.masks), limits.instances)
    items: dict[int, Detection] = {}
    reasons: dict[int, str] = {}
    for index in range(len(given.masks)):
        try:
            items[index] = _detection(given, index, shape, names)
        except InvalidInput as error:
            reasons[index] = str(error)
    if reasons and not items:
        raise InvalidInput(f"no mask is usable: {'; '.join([*reasons.values()][:5])}")
    detections = Detections(tuple(items.values()), "" if items else "the request has no mask")
    numbers = dict(zip((d.instance_id for d in detections.items), items, strict=True))
    return Masks(detections, numbers, reasons)


def _detection(
    given: DetectionsIn, index: int, shape: tuple[int, int], names: Sequence[str]
) -> Detection:
    mask = decode_mask(given.masks[index], shape, f"mask {index}")
    hints = given.pose_hints[index] if given.pose_hints is not None else []
    if any(len(pose) != 4 or any(len(row) != 4 for row in pose) for pose in hints):
        raise InvalidInput(f"pose_hints {index} are not all 4×4")
    return Detection(
        _name_of(given, index, names),
        given.scores[index] if given.scores is not None else 1.0,
        mask,
        given.instance_ids[index] if given.instance_ids is not None else "",
        np.asarray(hints, np.float64).reshape(-1, 4, 4),
    )


def _name_of(given: DetectionsIn, index: int, names: Sequence[str]) -> str:
    """Return the object of one mask.

    ``names`` go before ``object_ids``. With one object in the request neither is needed, and ids
    are not looked at: older clients number the masks there.

    Raises:
        InvalidInput: the mask names no object of the request.
    """
    if given.names is not None:
        name = given.names[index]
        if name not in names:
            raise InvalidInput(f"mask {index} is of {name!r:.60}; the request names {list(names)}")
        return name
    if len(names) == 1:
        return names[0]
    if given.object_ids is None:
        raise InvalidInput(
            f"mask {index} is of one of {list(names)}; give names or object_ids in detections"
        )
    number = given.object_ids[index]
    if not 0 <= number < len(names):
        raise InvalidInput(f"mask {index} has object_id {number}; expected 0 to {len(names) - 1}")
    return names[number]


def output_folder(body: FrameBody, roots: Roots) -> Path | None:
    """Return the folder for result files, or None if the request names none.

    Raises:
        NotAllowed: it is outside the allowed folders.
    """
    if body.output_dir is None:
        return None
    return roots.writable(body.output_dir, "output_dir")
