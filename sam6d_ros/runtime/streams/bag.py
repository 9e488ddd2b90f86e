"""Frames with depth of a ROS 2 bag, played at the speed of its recording: ``bag:PATH``."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import replace

from sam6d_ros.errors import BackendUnavailable, install_extra
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.runtime.streams.address import Address
from sam6d_ros.runtime.streams.failures import Failure, ended, explain
from sam6d_ros.runtime.streams.picture import Picture
from sam6d_ros.runtime.streams.policy import SourcePolicy
from sam6d_ros.runtime.streams.source import ReadSettings
from sam6d_ros.types import Frame

LONGEST_PAUSE_S = 5.0  # of a recording; a longer one is cut, so that the stream does not stall


class BagSource:
    """Source of frames with depth.

    Args:
        address: of the bag.
        policy: rules, applied at each attempt to open it.
        settings: of reading: ``loop``.
    """

    is_live = False

    def __init__(self, address: Address, policy: SourcePolicy, settings: ReadSettings) -> None:
        self._address, self._policy, self._settings = address, policy, settings

    def pictures(self, stop: threading.Event) -> Generator[Picture, None, None]:
        """Yield the frames in their order, until the end or ``stop``.

        Args:
            stop: set to end.

        Yields:
            Pictures with depth.

        Raises:
            BackendUnavailable: rosbags is missing.
            NotAllowed: the bag is outside the roots.
            InvalidInput: the bag is damaged, has no RGB-D camera, or no usable frame.
        """
        again = True
        while again and not stop.is_set():
            due, before_ns = time.monotonic(), -1
            for time_ns, frame in self._frames(stop):
                pause_s = (time_ns - before_ns) / NS_PER_S if before_ns >= 0 else 0.0
                due = max(due + min(pause_s, LONGEST_PAUSE_S), time.monotonic())
                if stop.wait(due - time.monotonic()):
                    return
                before_ns = time_ns
                frame = replace(frame, stamp_ns=time.time_ns())
                yield Picture(frame.rgb.view, (frame.camera.width, frame.camera.height), frame)
            again = self._settings.loop

    def explain(self, error: BaseException | None, pictures: int, waited_s: float) -> Failure:
        """Return the reason why the frames ended.

        Args:
            error: raised by ``pictures``, or None.
            pictures: number of frames before.
            waited_s: seconds since the last one.
        """
        if error is None:
            return ended(self._address)
        return explain(error, self._address, pictures > 0, waited_s)

    def _frames(self, stop: threading.Event) -> Generator[tuple[int, Frame], None, None]:
        """Yield the usable frames with the times of their receipt."""
        bag_frames = _bag_reading()
        for found in bag_frames(self._policy.local_path(self._address), self._address):
            if stop.is_set():
                return
            if found is not None:
                yield found


def _bag_reading():  # type: ignore[no-untyped-def]
    """Return the function that reads bags.

    Raises:
        BackendUnavailable: rosbags is missing.
    """
    try:
        from sam6d_ros.frames.bags.frames import bag_frames
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"bags need {error.name}, which is missing; {install_extra('bags')}"
        ) from error
    return bag_frames
