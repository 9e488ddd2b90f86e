"""Write ``docs/images/tracking.gif``, the picture of README.md: tracking in a synthetic sequence.

``python scripts/tracking_picture.py``. A hand-held camera moves before a table, and a board passes
in front of it. The engine searches one image per second; tracking follows the objects through all.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam6d_ros import draw, open_engine
from sam6d_ros.config import TrackingConfig
from sam6d_ros.evaluation.synthetic import CAMERA, SyntheticScene, make_scene
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.tracking.tracks import TrackedObjects

OUT = Path(__file__).resolve().parents[1] / "docs/images/tracking.gif"
TARGETS = ("tea_box", "soup_can", "mug", "toy_cat")
SEED, FRAMES, SEARCH_EVERY = 11, 75, 30  # 2.5 s at 30 Hz
SHOWN_EVERY, SIZE = 3, (384, 288)  # 10 pictures per second, pixels
COLOURS = 112  # of the palette that all pictures share


def pictures(scene: SyntheticScene) -> list[NDArray[np.uint8]]:
    """Draw the poses of the tracked objects, in every third frame."""
    models = {model.name: model for model in scene.objects}
    engine = open_engine(ObjectSet(models), backend="geometric", role="service")
    tracked = TrackedObjects(engine.track, lambda: engine.objects, TrackingConfig())
    out = []
    for index, view in enumerate(scene.views):
        found = engine.run(view.frame) if index % SEARCH_EVERY == 0 else None
        poses = tracked.step(view.frame, found)
        if index % SHOWN_EVERY == 0:
            drawn = draw(view.frame, poses, engine.objects)
            out.append(cv2.resize(drawn, SIZE, interpolation=cv2.INTER_AREA))
    return out


def write(frames: list[NDArray[np.uint8]]) -> None:
    """Write an animation of 10 pictures per second that repeats."""
    all_colours = Image.fromarray(np.vstack(frames[:: len(frames) // 5]))
    palette = all_colours.quantize(COLOURS, kmeans=3)
    first, *others = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    )
    first.save(OUT, save_all=True, append_images=others, duration=100, loop=0, optimize=True)


def main() -> None:
    """Write the picture and print its size."""
    scene = make_scene(
        SEED,
        targets=TARGETS,
        clutter=2,
        camera=CAMERA.scaled(0.75),
        frames=FRAMES,
        path="hand_held",
        occluded=True,
    )
    write(pictures(scene))
    print(f"{OUT}: {OUT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
