"""Parts of the planning scene node: collision objects from 3D detections."""
