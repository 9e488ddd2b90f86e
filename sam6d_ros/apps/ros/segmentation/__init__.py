"""Parts of the segmentation node: schedule, boxes of a detector, the service ``~/segment``."""
