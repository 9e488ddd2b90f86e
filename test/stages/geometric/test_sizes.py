"""Objects of 15 mm to 1.5 m: the same still life, enlarged or reduced with its range."""

import numpy as np
import pytest
import trimesh
from support.meshes import fine
from support.still_life import CAM_FROM_TABLE, model_of, photograph, printed

from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.metrics import add
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.types import Frame

NOISE_PER_M2 = 0.0012  # standard deviation of the depth


def box(sides_m, scale):
    """A printed box, enlarged."""
    shape = fine(trimesh.creation.box(sides_m), max(sides_m) / 12)
    colors = printed(shape, max(sides_m) / 4)
    shape.apply_scale(scale)
    return model_of(shape, "box", colors)


def on_table(model, turn_deg):
    """Return the pose of a model that stands on the table."""
    height = float(-model.vertices[:, 2].min())
    return CAM_FROM_TABLE @ se3.exp([0.0, 0.0, height, 0, 0, np.radians(turn_deg)])


def enlarged(cam_from_obj, scale):
    """Return the pose at a multiple of the range."""
    out = cam_from_obj.copy()
    out[:3, 3] *= scale
    return out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sides_m", "scale"),
    [
        ((0.05, 0.04, 0.03), 0.3),  # 9 to 15 mm at 0.18 m
        ((0.24, 0.16, 0.14), 3.0),  # 0.42 to 0.72 m at 1.8 m
        ((0.30, 0.21, 0.18), 3.9),  # 0.7 to 1.2 m at 2.3 m: wide planes
    ],
    ids=["15 mm", "0.95 m", "1.5 m"],
)
def test_an_object_of_any_size_is_found(sides_m, scale, tmp_path):
    small, model = box(sides_m, 1.0), box(sides_m, scale)
    pose = on_table(small, 25)
    frame = photograph([(small, pose)])
    depth = frame.depth * scale
    noise = np.random.default_rng(0).normal(size=depth.shape) * NOISE_PER_M2 * depth**2
    seen = Frame(frame.rgb, ((depth + noise) * (depth > 0)).astype(np.float32), frame.camera)
    objects = ObjectSet({"box": model})
    config = PipelineConfig(backend="geometric", min_score=0.2)
    found = build_engine(EngineSpec(config, tmp_path, objects=objects)).run(seen)
    assert len(found) == 1, found.reason
    error = add(found.items[0].cam_from_obj, enlarged(pose, scale), model.vertices)
    assert error < 0.05 * model.diameter
