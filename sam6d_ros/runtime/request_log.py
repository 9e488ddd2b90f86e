"""Request ids in log lines, whichever thread does the work of the request."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str] = ContextVar("request_id", default="")


@contextmanager
def working_for(request_id: str) -> Iterator[None]:
    """Mark the log lines of this thread or task as those of a request.

    Args:
        request_id: id of the request.
    """
    before = _CURRENT.set(request_id)
    try:
        yield
    finally:
        _CURRENT.reset(before)


class RequestIdFilter(logging.Filter):
    """Filter of a handler that sets ``request`` of each record: `` [ID]``, or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the field ``request``; every record passes.

        Args:
            record: the log record.

        Returns:
            True.
        """
        request_id = _CURRENT.get()
        record.request = f" [{request_id}]" if request_id else ""
        return True
