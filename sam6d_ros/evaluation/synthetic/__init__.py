"""Synthetic scenes with known poses: to try everything without a camera or a data set."""

from sam6d_ros.evaluation.synthetic.bop_writer import write_bop
from sam6d_ros.evaluation.synthetic.noise import Sensor
from sam6d_ros.evaluation.synthetic.scene import (
    CAMERA,
    Instance,
    SyntheticScene,
    SyntheticView,
    make_scene,
)

__all__ = [
    "CAMERA",
    "Instance",
    "Sensor",
    "SyntheticScene",
    "SyntheticView",
    "make_scene",
    "write_bop",
]
