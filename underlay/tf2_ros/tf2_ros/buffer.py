"""A buffer of transforms that can be waited on."""

from __future__ import annotations

from time import sleep

from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time

from tf2_ros.buffer_core import BufferCore

POLL_S = 0.02


class Buffer(BufferCore):
    """Stand-in for `tf2_ros.Buffer`.

    The simple look-ups only; with a node the buffer empties itself when that node's clock jumps
    back, but the service `tf2_frames` is not offered.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        super().__init__(cache_time)
        self.clock = node.get_clock() if node is not None else Clock()
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True
        )
        self.jump_handle = self.clock.create_jump_callback(
            threshold, post_callback=self.time_jump_callback
        )

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Drop what was received before the clock jumped back."""
        get_logger("tf2_buffer").warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

    def lookup_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time | TimeMessage,
        timeout: Duration = Duration(),  # noqa: B008 - as in the original
    ) -> TransformStamped:
        """See `lookup_transform_core`; waits up to `timeout` for the transform to be known."""
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time | TimeMessage,
        timeout: Duration = Duration(),  # noqa: B008
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether the transform is known, or becomes so within `timeout`; blocks meanwhile.

        Another thread must spin the listener's node. The wait goes by the system's clock.
        """
        clock = Clock()
        end = clock.now() + timeout
        while (
            clock.now() < end and not self.can_transform_core(target_frame, source_frame, time)[0]
        ):
            sleep(POLL_S)
        answer = self.can_transform_core(target_frame, source_frame, time)
        return answer if return_debug_tuple else answer[0]
