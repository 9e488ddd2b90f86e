"""Message ↔ type, as pure functions: no node, no clock, no state.

``frames`` camera messages ↔ Frame; ``images``, ``compressed`` pixels → plain and compressed
messages (``frames.messages`` reads them); ``boxes`` Boxes ↔ 2D boxes, ← label images; ``masks``
Detections ↔ instance masks, 2D boxes; ``labels`` → label images; ``poses`` PoseEstimates ↔ 3D
detections and transforms; ``rigid`` 4×4 matrices ↔ Pose; ``markers`` meshes for RViz.
"""

from sam6d_ros.apps.ros.conversions.boxes import (
    boxes_from_detection_2d_array,
    boxes_from_label_image,
    detection_2d_array_from_boxes,
)
from sam6d_ros.apps.ros.conversions.compressed import (
    compressed_depth_from_metres,
    compressed_image_from_rgb,
)
from sam6d_ros.apps.ros.conversions.frames import (
    camera_info_from_intrinsics,
    distortion_warning,
    frame_from_messages,
    header_from,
    intrinsics_from_camera_info,
    rgb_from_message,
    stamp_ns_of,
    stamp_problem,
)
from sam6d_ros.apps.ros.conversions.images import depth_image_from_metres, image_from_rgb
from sam6d_ros.apps.ros.conversions.labels import instance_image, label_image, label_info
from sam6d_ros.apps.ros.conversions.markers import MeshMarkers
from sam6d_ros.apps.ros.conversions.masks import (
    detection_2d_array,
    detections_from_masks,
    masks_from_detections,
    unsearched_text,
)
from sam6d_ros.apps.ros.conversions.poses import (
    detection_3d_array,
    pose_array,
    poses_from_detection_3d_array,
    transforms_from_poses,
)

__all__ = [
    "MeshMarkers",
    "boxes_from_detection_2d_array",
    "boxes_from_label_image",
    "camera_info_from_intrinsics",
    "compressed_depth_from_metres",
    "compressed_image_from_rgb",
    "depth_image_from_metres",
    "detection_2d_array",
    "detection_2d_array_from_boxes",
    "detection_3d_array",
    "detections_from_masks",
    "distortion_warning",
    "frame_from_messages",
    "header_from",
    "image_from_rgb",
    "instance_image",
    "intrinsics_from_camera_info",
    "label_image",
    "label_info",
    "masks_from_detections",
    "pose_array",
    "poses_from_detection_3d_array",
    "rgb_from_message",
    "stamp_ns_of",
    "stamp_problem",
    "transforms_from_poses",
    "unsearched_text",
]
