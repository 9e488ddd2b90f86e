"""Errors in the message of a response: the name of the type, a colon, the text."""

from __future__ import annotations

from sam6d_ros import errors
from sam6d_ros.errors import Cancelled, InvariantError, NotReady, Overloaded, Sam6dError
from sam6d_ros.runtime.admission import DEFAULT_RETRY_AFTER_S

_TYPES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, Sam6dError)
}


def remote_text(error: BaseException) -> str:
    """Return the message of a response that reports an error."""
    return f"{type(error).__name__}: {error}"


def remote_error(message: str, about: str) -> Sam6dError:
    """Return the error that a node reported in a response, of the type that it had there.

    Args:
        message: by ``remote_text``.
        about: work that failed, for the text.

    Returns:
        ``InvariantError`` if it was none of our own errors; ``NotReady`` if another
        client cancelled the work of the other node, or if no type is named.
    """
    name, separator, text = message.partition(": ")
    if not separator or not name.isidentifier():
        return NotReady(f"{about}: {message}")
    kind = _TYPES.get(name)
    if kind is None:
        return InvariantError(f"{about}: {message}")
    if kind is Overloaded:
        return Overloaded(f"{about}: {text}", DEFAULT_RETRY_AFTER_S)
    return (NotReady if kind is Cancelled else kind)(f"{about}: {text}")
