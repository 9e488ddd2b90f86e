"""The pose node's line to the segmentation node's service."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.srv import SegmentFrame

KEPT_ANSWERS = 100  # answers whose masks may still come on the topic
# A call that is not answered by then never will be: the segmentation node died over it.
LOST_AFTER_S = 60.0


class SegmentationClient:
    """Client for masks, which are not computed a second time.

    The segmentation node publishes on its topic what it also answers. So masks that come by topic
    wait while a call is open; then those of the answer are dropped and any others passed on.

    Args:
        pass_on: receives masks of the topic that answer no request.
    """

    def __init__(
        self, node: Node, group: CallbackGroup, pass_on: Callable[[InstanceMaskArray], None]
    ) -> None:
        self._client = node.create_client(
            SegmentFrame, topics.SEGMENTATION_SERVICE, callback_group=group
        )
        self._pass_on = pass_on
        self._open: dict[Future, float] = {}
        self._held: InstanceMaskArray | None = None
        self._answered: deque[int] = deque(maxlen=KEPT_ANSWERS)
        self._lock = threading.Lock()

    @property
    def service(self) -> str:
        """The full name of the service."""
        return str(self._client.service_name)

    def is_there(self) -> bool:
        """Whether the service has a server."""
        return bool(self._client.service_is_ready())

    def call(self, request: SegmentFrame.Request) -> Future:
        """Ask; ``done_with`` the future must follow, in every case."""
        with self._lock:
            future: Future = self._client.call_async(request)
            self._open[future] = time.monotonic()
        return future

    def done_with(self, future: Future) -> None:
        """Await the answer here: it was used, or its request is over."""
        if self.is_there():
            future.add_done_callback(self._close)
        else:
            self._client.remove_pending_request(future)
            self._close(future)

    def on_masks(self, masks: InstanceMaskArray) -> None:
        """Masks came by topic."""
        with self._lock:
            if stamp_ns_of(masks.header) in self._answered:
                return
            lost = time.monotonic() - LOST_AFTER_S
            self._open = {f: since for f, since in self._open.items() if since > lost}
            if self._open:
                self._held = masks
                return
        self._pass_on(masks)

    def _close(self, future: Future) -> None:
        with self._lock:
            self._open.pop(future, None)
            if future.done() and future.result().success:
                self._answered.append(stamp_ns_of(future.result().masks.header))
            held = None
            if not self._open:
                held, self._held = self._held, None
        if held is not None:
            self.on_masks(held)
