"""Parts of the nodes that use 3D detections: grasp planning, common base class."""
