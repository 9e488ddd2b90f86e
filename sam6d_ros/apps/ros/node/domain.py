"""DDS domains of graphs that share nothing with other graphs of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from sam6d_ros.errors import Sam6dError

# DDS ports of higher domains collide with Linux's ephemeral ports; 0 is the default of ROS 2.
DOMAINS = range(1, 101)


@contextmanager
def own_domain(after: int | None = None) -> Iterator[int]:
    """Reserve a domain; other processes that call this get other ones until the context ends.

    A domain is reserved by an abstract socket of its name. The kernel frees it with the process,
    and it reaches as far as DDS on one host does: the network namespace.

    Args:
        after: number behind which the search begins, so that no domain is used again at once;
            None: one that depends on the process.

    Yields:
        Number of the domain.

    Raises:
        Sam6dError: all domains are reserved.
    """
    first = os.getpid() if after is None else after
    for step in range(len(DOMAINS)):
        domain_id = DOMAINS[(first + step) % len(DOMAINS)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reservation:
            try:
                reservation.bind(f"\0sam6d_ros_domain_{domain_id}")
            except OSError:
                continue
            yield domain_id
            return
    raise Sam6dError(f"all {len(DOMAINS)} DDS domains are in use; end other graphs first")
