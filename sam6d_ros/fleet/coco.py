"""Labels of one scene in the format of COCO, as most detectors are trained with.

https://cocodataset.org/#format-data; BOP's ``scene_gt_coco.json`` has the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sam6d_ros.fleet.results import Found
from sam6d_ros.geometry import rle
from sam6d_ros.types import mask_box


class Coco:
    """Images, annotations and categories of a scene.

    Args:
        names: of the objects by number.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self._categories = [{"id": number, "name": name} for number, name in names.items()]
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(
        self,
        im_id: int,
        file: str,
        size: Sequence[float],
        instances: Sequence[tuple[int, Found]],
    ) -> None:
        """Add an image; instances without a mask are left out.

        Args:
            im_id: number of the image.
            file: of the image, from the folder of the scene.
            size: width and height, pixels.
            instances: number of the object, and the instance.
        """
        width, height = (int(value) for value in size)
        self._images.append({"id": im_id, "file_name": file, "width": width, "height": height})
        for number, item in instances:
            if item.mask is not None:
                self._annotations.append(self._annotation(im_id, number, item, item.mask))

    def values(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "images": self._images,
            "annotations": self._annotations,
            "categories": self._categories,
        }

    def _annotation(
        self, im_id: int, number: int, item: Found, encoded: Mapping[str, Any]
    ) -> dict[str, Any]:
        mask = rle.decode(encoded)
        return {
            "id": len(self._annotations) + 1,
            "image_id": im_id,
            "category_id": number,
            "iscrowd": 0,
            "area": int(mask.sum()),
            "bbox": list(mask_box(mask)),
            "segmentation": dict(encoded),
            "score": item.score,
        }
