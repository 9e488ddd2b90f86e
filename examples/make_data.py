"""Synthetic data for the examples: images of a simulated depth camera, CAD files, true poses.

python examples/make_data.py data

data/still   three objects on a table, one image; a dataset in BOP format
data/bin     three equal cans beside other things, one image
data/moving  two objects, 15 images of a hand-held camera, 320 × 240 pixels
"""

from __future__ import annotations

import sys
from pathlib import Path

from sam6d_ros.evaluation.synthetic import CAMERA, make_scene, write_bop
from sam6d_ros.evaluation.synthetic.objects import TARGETS

CAN_ONLY = """\
objects:
  - name: soup_can
    mesh: models/obj_000001.ply
    unit: mm
    max_instances: 5
"""

data = Path(sys.argv[1])
write_bop(make_scene(7, targets=("tea_box", "soup_can", "mug")), data / "still")

can = next(item for item in TARGETS if item.name == "soup_can")
write_bop(make_scene(4, parts=[can] * 3), data / "bin")
(data / "bin/objects.yaml").write_text(CAN_ONLY)

small = CAMERA.scaled(0.5)
pair = ("tea_box", "soup_can")
write_bop(make_scene(7, targets=pair, frames=15, path="hand_held", camera=small), data / "moving")
