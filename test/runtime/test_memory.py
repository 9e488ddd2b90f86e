"""Memory of the process: limits of malloc."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import os, threading
from sam6d_ros.runtime.memory import limit_arenas
assert limit_arenas(2)
blocks, ready, end = [], threading.Barrier(9), threading.Event()
def hold():
    blocks.append([bytes(1000) for _ in range(1000)])
    ready.wait()
    end.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads:
    thread.start()
ready.wait()
import ctypes
ctypes.CDLL(None).malloc_stats()
end.set()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the limit is of glibc")
def test_threads_share_the_heaps_that_are_allowed():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stderr.count("Arena ") == 2
