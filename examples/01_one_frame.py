r"""Poses of the objects in one frame, printed and drawn.

python examples/make_data.py data
python examples/01_one_frame.py data/still/test/000000/rgb/000001.png \
    data/still/test/000000/depth/000001.png data/still/test/000000/scene_camera.json \
    data/still/objects.yaml overlay.png
"""

from __future__ import annotations

import sys

import cv2

from sam6d_ros import draw, load_frame, load_objects, open_engine

rgb, depth, camera, objects, overlay = sys.argv[1:6]
engine = open_engine(load_objects(objects))
frame = load_frame(rgb, depth, camera)
estimates = engine.run(frame)
print(estimates)
cv2.imwrite(overlay, draw(frame, estimates, engine.objects)[..., ::-1])  # OpenCV writes BGR
