"""Memory of this process: how much it holds, and giving it back after something was let go."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path
from typing import Any


def free_memory() -> None:
    """Collect what only reference cycles hold, and what malloc and torch keep for later."""
    gc.collect()
    # malloc_trim(3), of glibc alone: without it more than half of an engine stayed here.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    torch = _torch()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def resident_bytes(process: int | str = "self") -> int:
    """Memory of a process in RAM (proc_pid_statm(5): the second number, in pages)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def device_bytes() -> int:
    """What this process has allocated on all GPUs by torch; 0 without."""
    torch = _torch()
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return sum(torch.cuda.memory_allocated(i) for i in range(torch.cuda.device_count()))


def _torch() -> Any:
    """The module if it is in use; never imported for this: without networks there is none."""
    return sys.modules.get("torch")
