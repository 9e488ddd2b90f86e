"""``~/buffer`` and ``~/buffer_info``: tracked instances in a fixed frame while the camera moves."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

from std_msgs.msg import Header, String
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.base_frame import BaseFrame, Transforms
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import NotReady
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.runtime.pose_buffer import BufferedInstance, PoseBuffer
from sam6d_ros.types import Frame, PoseEstimates

POSE_BUFFER = "pose_buffer"
PARAMETERS = (
    Parameter(
        POSE_BUFFER,
        "",
        "TF frame in which instances at rest are kept while the camera moves, on ~/buffer; empty: "
        "none are kept",
    ),
    Parameter(
        "pose_buffer_s",
        300.0,
        "time without a view after which an instance leaves the buffer, seconds",
        limits=(0.1, 86400.0),
    ),
)


class BufferOutputs:
    """Buffer of a tracking node and its topics; without effect if the parameter is empty.

    Args:
        node: has ``PARAMETERS`` and those of ``base_frame``.
        transforms: of the node.
    """

    def __init__(self, node: ManagedNode, transforms: Transforms) -> None:
        self._node = node
        self._fixed = BaseFrame(node, node.status, lambda _: None, transforms, POSE_BUFFER)
        self._buffer = PoseBuffer(node.get_parameter("pose_buffer_s").value)
        if self._fixed.name:
            create = node.create_lifecycle_publisher
            self._poses = create(Detection3DArray, topics.BUFFER, RESULTS)
            self._info = create(String, topics.BUFFER_INFO, RESULTS)

    def open(self) -> None:
        """Subscribe to TF."""
        self._fixed.open()

    def close(self) -> None:
        """Unsubscribe and drop the instances."""
        self._fixed.close()
        self._buffer.clear()

    def publish(
        self, frame: Frame, poses: PoseEstimates, header: Header, models: Mapping[str, ObjectModel]
    ) -> None:
        """Take in the poses of a frame; publish the buffer, unless TF lacks the camera's place."""
        if not self._fixed.name:
            return
        try:
            place = self._fixed.located(header)
        except NotReady as error:
            self._node.status.log(logging.WARNING, str(error), key=POSE_BUFFER)
            return
        found = self._buffer.update(frame, poses, place, models)
        own = Header(stamp=header.stamp, frame_id=self._fixed.name)
        items = tuple(one.pose for one in found)
        kept = PoseEstimates(items, frame.stamp_ns, self._fixed.name, "" if items else "none")
        message = conversions.detection_3d_array(kept, own, models)
        for detection, one in zip(message.detections, found, strict=True):
            detection.header = conversions.header_from(one.seen_ns, self._fixed.name)
        self._poses.publish(message)
        self._info.publish(String(data=json.dumps(_rows(found, frame.stamp_ns))))


def _rows(found: Sequence[BufferedInstance], now_ns: int) -> list[dict[str, object]]:
    """Return what a picker looks at, by instance."""
    return [
        {
            "id": one.pose.instance_id,
            "class_id": one.pose.class_id,
            "score": round(float(one.pose.score), 4),
            "age_s": round((now_ns - one.seen_ns) / NS_PER_S, 3),
            "views": one.views,
        }
        for one in found
    ]
