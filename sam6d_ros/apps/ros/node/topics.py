"""Names of the nodes' topics, services and actions, and the limits on waiting for them.

``~/name`` is private to a node, ``name`` is relative to its namespace, ``/name`` is absolute.
"""

from __future__ import annotations

# --- every node

READY = "~/ready"
STATS = "~/stats"
DIAGNOSTICS = "/diagnostics"
HEARTBEAT = "heartbeat"  # of all nodes of a namespace
OBJECTS = "~/objects"
FOLLOW_OBJECTS = "~/follow_objects"
ADD_OBJECT, REMOVE_OBJECT, LIST_OBJECTS = "~/add_object", "~/remove_object", "~/list_objects"
DETECTIONS = "~/detections"
MARKERS = "~/markers"
DIAGNOSTICS_PERIOD_S = 1.0
# Longest wait for work in progress when a node is shut down.
STOP_TIMEOUT_S = 1.5
# Most attempts at a change of the objects that transitions of the node interrupt.
CHANGE_ATTEMPTS = 5

# --- segmentation_node

MASKS = "~/masks"
LABEL_IMAGE, INSTANCE_IMAGE, LABEL_INFO = "~/label_image", "~/instance_image", "~/label_info"
SEGMENT = "~/segment"
FRAME_TIMEOUT_S = 5.0
# A frame that arrived longer ago is not the newest one of a running camera.
FRESH_S = 1.0

# Inputs from a 2D detector; ~/label_image is an output.
BOXES, LABELS = "~/boxes", "~/labels"

# --- pose_node and tracking_node

ESTIMATES = "~/estimates"
BUFFER, BUFFER_INFO = "~/buffer", "~/buffer_info"
BASE_DETECTIONS = "~/base/detections"
OVERLAY, CLASS_POSES, VISION_INFO = "~/overlay", "~/poses", "~/vision_info"
TRIGGER, ESTIMATE_POSES = "~/trigger", "~/estimate_poses"
SEGMENTATION_SERVICE = "segmentation_node/segment"
SERVICE_WAIT_S = 2.0  # nodes that start together find each other within this
IMAGE_WAIT_S = 2.0  # masks may arrive before the image that they belong to

# --- grasp_node and planning_scene_node

GRASPS, GRASP_POSES = "~/grasps", "~/grasp_poses"
BASE_GRASPS, BASE_GRASP_POSES = "~/base/grasps", "~/base/grasp_poses"
COLLISION_OBJECT = "collision_object"

# --- scan_node

START, TURN, STOP, PROGRESS = "~/start", "~/turn", "~/stop", "~/progress"

# --- replay_node: as the RealSense driver names them; the namespace is the camera's

REPLAY_RGB = "color/image_raw"
REPLAY_DEPTH = "aligned_depth_to_color/image_raw"
REPLAY_CAMERA_INFO = "color/camera_info"


def of_node(node: str, name: str) -> str:
    """Return the absolute name of ``~/name`` of a node in the root namespace."""
    return f"/{node}/{name.removeprefix('~/')}"


def in_work(masks: str) -> str:
    """Return the topic of the headers of frames whose segmentation begins.

    Args:
        masks: resolved name of the topic of the masks.
    """
    return f"{masks}/in_work"
