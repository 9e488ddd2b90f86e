"""Giving memory back after something large was let go."""

from __future__ import annotations

import gc
import sys


def free_memory() -> None:
    """Collect what only reference cycles hold, and what torch keeps of a GPU for later."""
    gc.collect()
    # Not imported for this: a process without networks has no torch.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
