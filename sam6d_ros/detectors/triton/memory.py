"""Shared memory between a Triton client and a server on the same machine, for input tensors."""

from __future__ import annotations

import itertools
import logging
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.triton.channel import Channel
from sam6d_ros.detectors.triton.errors import translated
from sam6d_ros.errors import InvalidConfig, InvalidInput

LOG = logging.getLogger(__name__)
KNOWN = "already in manager"  # part of the server's answer
_NUMBERS = itertools.count()  # of this process: names of regions must differ


@dataclass
class Region:
    """One region and where it is known."""

    name: str
    size: int
    handle: Any
    registered: bool = False


class SharedInputs:
    """Regions for the input tensors of the requests that are on their way at the same time."""

    def __init__(self) -> None:
        import tritonclient.utils.shared_memory as memory

        self._memory = memory
        self._regions: list[Region] = []

    def fill(self, place: int, tensor: NDArray[np.float32], channel: Channel) -> Region:
        """Put a tensor into the region of a request, made or enlarged where needed.

        Returns:
            The region.

        Raises:
            InvalidConfig: the server does not see this machine's memory.
        """
        while len(self._regions) <= place:
            self._regions.append(self._made(tensor.nbytes))
        if self._regions[place].size < tensor.nbytes:
            self._drop(self._regions[place], channel)
            self._regions[place] = self._made(tensor.nbytes)
        region = self._regions[place]
        if not region.registered:
            self._register(region, channel)
        self._memory.set_shared_memory_region(region.handle, [tensor])
        return region

    def forget(self) -> None:
        """Register the regions anew when they are used again: the server was started anew."""
        for region in self._regions:
            region.registered = False

    def close(self, channel: Channel) -> None:
        """Remove all regions."""
        while self._regions:
            self._drop(self._regions.pop(), channel)

    def _made(self, size: int) -> Region:
        name = f"sam6d_{os.getpid()}_{next(_NUMBERS)}"
        return Region(name, size, self._memory.create_shared_memory_region(name, f"/{name}", size))

    def _register(self, region: Region, channel: Channel) -> None:
        try:
            with translated(channel.url):
                channel.client.register_system_shared_memory(
                    region.name, f"/{region.name}", region.size
                )
        except InvalidInput as error:
            if KNOWN in str(error):  # the name is this region's only: the server still has it
                region.registered = True
                return
            raise InvalidConfig(
                f"the server at {channel.url} cannot use shared memory; it works with a server on "
                f"the same machine only ({error})"
            ) from error
        region.registered = True

    def _drop(self, region: Region, channel: Channel) -> None:
        try:
            if region.registered:
                channel.client.unregister_system_shared_memory(region.name)
        except Exception:
            LOG.debug("cannot unregister %s", region.name, exc_info=True)  # the server may be gone
        finally:
            self._memory.destroy_shared_memory_region(region.handle)
