"""Frames with depth from a folder in BOP format, played at a rate: ``frames:FOLDER``."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import replace

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.runtime.streams.address import Address
from sam6d_ros.runtime.streams.failures import Failure, explain
from sam6d_ros.runtime.streams.picture import Picture
from sam6d_ros.runtime.streams.policy import SourcePolicy
from sam6d_ros.runtime.streams.source import ReadSettings


class FolderSource:
    """Source of frames with depth.

    Args:
        address: of the folder.
        policy: rules, applied at each attempt to open it.
        settings: of reading: ``rate_hz`` and ``loop``.
    """

    is_live = False

    def __init__(self, address: Address, policy: SourcePolicy, settings: ReadSettings) -> None:
        self._address, self._policy, self._settings = address, policy, settings

    def pictures(self, stop: threading.Event) -> Generator[Picture, None, None]:
        """Yield the frames by scene and number, at the rate, until the end or ``stop``.

        Args:
            stop: set to end.

        Yields:
            Pictures with depth.

        Raises:
            NotAllowed: the folder is outside the roots.
            InvalidInput: the folder or a frame is unusable.
            InvalidDataset: the folder has no frame.
        """
        dataset = BopDataset(self._policy.local_path(self._address))
        images = dataset.images()
        if not images:
            raise InvalidDataset(f"{self._address} has no image; expected scene_camera.json files")
        period_s, due = 1 / self._settings.rate_hz, time.monotonic()
        again = True
        while again:
            for scene, image in images:
                frame = dataset.frame(scene, image)
                if stop.wait(max(due - time.monotonic(), 0.0)):
                    return
                frame = replace(frame, stamp_ns=time.time_ns())
                yield Picture(frame.rgb.view, (frame.camera.width, frame.camera.height), frame)
                due = max(due + period_s, time.monotonic())
            again = self._settings.loop

    def explain(self, error: BaseException | None, pictures: int, waited_s: float) -> Failure:
        """Return the reason why the frames ended.

        Args:
            error: raised by ``pictures``, or None.
            pictures: number of frames before.
            waited_s: seconds since the last one.
        """
        if error is None:
            return Failure(f"{self._address} has ended; set loop to play it again")
        return explain(error, self._address, pictures > 0, waited_s)
