"""Log of the core and of host statuses in the ROS log (console, file, /rosout)."""

from __future__ import annotations

import logging

import rclpy.logging
from rclpy.impl.rcutils_logger import RcutilsLogger

PACKAGE = "sam6d_ros"


def log(logger: RcutilsLogger, level: int, text: str) -> None:
    """Log a text to a ROS logger at a level of ``logging``."""
    # One line for each severity: rclpy keeps it by the calling line.
    if level >= logging.ERROR:
        logger.error(text)
    elif level >= logging.WARNING:
        logger.warning(text)
    elif level >= logging.INFO:
        logger.info(text)
    else:
        logger.debug(text)


class RosLogHandler(logging.Handler):
    """Handler that passes records on to a ROS logger."""

    def __init__(self) -> None:
        super().__init__()
        self._logger = rclpy.logging.get_logger(PACKAGE)

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record with the severity it has."""
        log(self._logger, record.levelno, self.format(record))


def install() -> None:
    """Send the package's records from INFO on to the ROS log, once."""
    logger = logging.getLogger(PACKAGE)
    if not any(isinstance(handler, RosLogHandler) for handler in logger.handlers):
        logger.addHandler(RosLogHandler())
        logger.setLevel(logging.INFO)
        logger.propagate = False
