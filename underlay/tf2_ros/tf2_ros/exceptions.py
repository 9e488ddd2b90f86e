"""What a look-up may raise; `tf2_ros` re-exports the same names from `tf2_py` in the original."""

from __future__ import annotations


class TransformException(Exception):
    """Base of the errors below."""


class ConnectivityException(TransformException):
    """Both frames are known, but no chain of transforms connects them."""


class LookupException(TransformException):
    """A frame is not known."""


class ExtrapolationException(TransformException):
    """The frames are connected, but not at the time that was asked for."""


class InvalidArgumentException(TransformException):
    """A frame's name is empty or begins with a slash."""


class TimeoutException(TransformException):
    """An answer took too long."""
