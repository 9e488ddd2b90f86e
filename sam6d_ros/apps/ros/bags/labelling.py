"""Recording in a ROS 2 bag, to be labelled without a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from sam6d_ros.apps.ros.bags.frames import CameraSet, FrameSource
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.conversions import frame_from_messages
from sam6d_ros.errors import InvalidInput
from sam6d_ros.fleet.label import write_images
from sam6d_ros.fleet.recordings import Image
from sam6d_ros.fleet.tasks import FrameTask, ShippedFrame, UnusableFrame
from sam6d_ros.frames.bags.topics import camera_topics


class BagRecording:
    """Camera of a bag; its frames travel with their tasks and are written into the dataset.

    Args:
        path: of the bag.
        every: use every n-th frame.
        slop_s: largest difference of paired stamps; 0 pairs equal stamps only.

    Raises:
        InvalidBag: it is no bag, or has not one camera.
    """

    def __init__(self, path: Path, every: int = 1, slop_s: float = 0.02) -> None:
        self.path, self._every, self._slop_s = path.resolve(), every, slop_s
        self.images: list[Image] = []
        with BagReader(path) as bag:
            self._camera = camera_topics(bag, None, None, None)

    @property
    def count(self) -> int:
        """Number of its colour images that are used."""
        return -(-self._camera.rgb.count // self._every)

    def tasks(self, is_done: Callable[[str], bool], scene: Path) -> Iterator[FrameTask]:
        """Yield the frames that need work; their images are written to the scene before."""
        self.images.clear()
        source = FrameSource(self._camera, self._slop_s)
        with BagReader(self.path) as bag:
            source.look_ahead(bag)
            for number, camera in enumerate(source.sets(bag.messages(self._camera.all()))):
                if number % self._every:
                    continue
                image = Image(number, f"{self.path}/{number:06d}")
                self.images.append(image)
                if not is_done(image.key):
                    yield _task(image, camera, scene)


def _task(image: Image, camera: CameraSet, scene: Path) -> FrameTask:
    try:
        frame = frame_from_messages(*camera.messages)
    except InvalidInput as error:
        return FrameTask(image.key, UnusableFrame(str(error)))
    write_images(frame, image.im_id, scene)
    return FrameTask(image.key, ShippedFrame(frame))
