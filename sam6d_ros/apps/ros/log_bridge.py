"""What the core says through Python's logging comes out of the ROS log (console, file, /rosout)."""

from __future__ import annotations

import logging

import rclpy.logging

PACKAGE = "sam6d_ros"


class RosLogHandler(logging.Handler):
    """Hands records to a ROS logger."""

    def __init__(self) -> None:
        super().__init__()
        self._logger = rclpy.logging.get_logger(PACKAGE)

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record with the severity it has."""
        text = self.format(record)
        # One line for each severity: rclpy remembers it by the calling line.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def install() -> None:
    """Send the package's records from INFO on to the ROS log, once."""
    logger = logging.getLogger(PACKAGE)
    if not any(isinstance(handler, RosLogHandler) for handler in logger.handlers):
        logger.addHandler(RosLogHandler())
        logger.setLevel(logging.INFO)
        logger.propagate = False
