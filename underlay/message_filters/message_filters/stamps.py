"""The time that a filter files a message under."""

from __future__ import annotations

from typing import Any

import rclpy.logging
from rclpy.clock import ROSClock
from rclpy.time import Time

HEADERLESS = (
    "messages without a header stamp are dropped, because 'allow_headerless' is off; "
    "switch it on to use the time of arrival instead"
)


def stamp_of(msg: Any, allow_headerless: bool, logger_name: str) -> Time | None:
    """Header stamp of `msg`, or the time now where a headerless one is allowed, else None."""
    stamp = getattr(getattr(msg, "header", None), "stamp", None)
    if stamp is not None:
        return stamp if hasattr(stamp, "nanoseconds") else Time.from_msg(stamp)
    if allow_headerless:
        return ROSClock().now()
    rclpy.logging.get_logger(logger_name).warning(HEADERLESS, throttle_duration_sec=5.0)
    return None
