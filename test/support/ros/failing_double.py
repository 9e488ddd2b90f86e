"""Held double whose pose node raises in a callback at one stamp of ``~/masks/in_work``.

python failing_double.py pose_node --ros-args …
"""

import runpy
from pathlib import Path

from sam6d_ros.runtime.frame_store import FrameStore

DEFECT_STAMP_NS = 13
_ANNOUNCE = FrameStore.announce


def announce(store, stamp_ns):
    """Raise for one stamp; else as the class."""
    if stamp_ns == DEFECT_STAMP_NS:
        raise RuntimeError("a defect of a callback")
    return _ANNOUNCE(store, stamp_ns)


if __name__ == "__main__":
    FrameStore.announce = announce
    runpy.run_path(str(Path(__file__).with_name("held_double.py")), run_name="__main__")
