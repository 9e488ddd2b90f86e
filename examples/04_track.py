"""Tracking through a recording: one full search, then every frame in milliseconds.

python examples/04_track.py data/moving/test/000000 data/moving/objects.yaml

The recording is a folder with rgb/, depth/ and a camera file.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from sam6d_ros import load_objects, open_engine
from sam6d_ros.config import TrackingConfig
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.runtime.tracking.tracks import TrackedObjects

RATE_HZ = 30.0  # of the recording; image files carry no time

recording = Recording(Path(sys.argv[1]))
engine = open_engine(load_objects(sys.argv[2]), role="service")  # finds and tracks
tracked = TrackedObjects(engine.track, lambda: engine.objects, TrackingConfig())

for index in range(len(recording)):
    # Tracking predicts by time: frames need stamps that grow.
    frame = replace(recording.frame(index), stamp_ns=round(index * 1e9 / RATE_HZ))
    found = engine.run(frame) if index == 0 else None  # a robot searches again now and then
    start = time.perf_counter()
    poses = tracked.step(frame, found)
    elapsed_ms = 1000 * (time.perf_counter() - start)
    # Ids are constant per physical object; `confirmed` is false while an object is hidden.
    shown = ", ".join(f"{pose}" for pose in poses.items if pose.confirmed)
    print(f"frame {index} ({elapsed_ms:.0f} ms): {shown or poses.reason}")
