r"""Several instances in one part of the image, such as a bin; the nearest one first.

python examples/03_bin.py data/bin/test/000000/rgb/000001.png \
    data/bin/test/000000/depth/000001.png data/bin/test/000000/scene_camera.json \
    data/bin/objects.yaml 0 0 640 480

The last four numbers are the bin in pixels: left, top, width, height.
"""

from __future__ import annotations

import sys

from sam6d_ros import load_frame, load_objects, open_engine
from sam6d_ros.geometry.region import Region

rgb, depth, camera, objects = sys.argv[1:5]
in_bin = Region(*(int(number) for number in sys.argv[5:9]))

# `max_instances` and `min_score` of each object stand in the objects file (docs/objects.md).
engine = open_engine(load_objects(objects))
frame = load_frame(rgb, depth, camera)

# engine.run() does both halves; separately, the first one can be restricted to a region.
detections = engine.segment(frame, region=in_bin)
estimates = engine.estimate(frame, detections)

# The gripper wants the top of the pile: the instance nearest to the camera of those that are
# well visible. `visible` is the share of the silhouette that nothing hides.
graspable = [pose for pose in estimates.items if pose.visible > 0.5]
for pose in sorted(graspable, key=lambda pose: float(pose.cam_from_obj[2, 3])):
    distance_m = pose.cam_from_obj[2, 3]
    print(f"{pose.instance_id} score {pose.score:.2f}, {distance_m:.3f} m from the camera")
print(f"{len(graspable)} of {len(estimates)} instances are well visible")
