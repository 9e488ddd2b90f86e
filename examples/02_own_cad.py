"""Pose of an own CAD file, with the reason if it is not found.

python examples/02_own_cad.py part.stl mm rgb.png depth.png camera.json overlay.png

camera.json: {"cam_K": [fx, 0, cx, 0, fy, cy, 0, 0, 1], "depth_scale": 1.0}
depth.png: 16 bits, registered to the colour image; one unit is depth_scale millimetres.
"""

from __future__ import annotations

import json
import sys

import cv2

from sam6d_ros import draw, load_frame, load_objects, open_engine, to_dict

part, unit, rgb, depth, camera, overlay = sys.argv[1:7]

# The object is named by its file. Check the size before anything else: a wrong unit is the
# most frequent mistake.
objects = load_objects(part, unit=unit)
(model,) = objects.models.values()
print(f"{model.name}: diameter {1000 * model.diameter:.0f} mm")

engine = open_engine(objects)
frame = load_frame(rgb, depth, camera)
estimates = engine.run(frame)

if not estimates.items:
    # `reason` is why nothing was found; `rejected` has the poses below the threshold.
    sys.exit(f"not found: {estimates.reason}")
for pose in estimates.items:
    # cam_from_obj takes a point of the CAD file (metres) into the camera's optical frame:
    # x right, y down, z forward.
    print(pose.instance_id, f"{pose.score:.2f}", pose.cam_from_obj.round(4).tolist())
print(json.dumps(to_dict(estimates)))
cv2.imwrite(overlay, draw(frame, estimates, engine.objects)[..., ::-1])
