"""Interruption of a program by itself at the first call of a function, and held calls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.graph.orphans import has_orphans

TIMEOUT_S = 60
# Interrupts the process by itself at the first call of a function or method.
MOMENT = """
import ctypes, functools, importlib.util, os, pathlib, signal, sys, time
def held():
    '''A call into a library that no signal ends: a lock that is taken twice.'''
    library, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)
def swallowed():
    '''Code that goes on after a KeyboardInterrupt.'''
    while True:
        try:
            time.sleep(1)
        except BaseException:
            pass
class Patch:
    def find_spec(self, name, path=None, target=None):
        if name != {module!r}:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        whole = spec.loader.exec_module
        def exec_module(module):
            whole(module)
            *owners, function = {function!r}.split(".")
            owner = functools.reduce(getattr, owners, module)
            original = getattr(owner, function)
            @functools.wraps(original)
            def interrupted(*args, **options):
                setattr(owner, function, original)
                pathlib.Path({marker!r}).touch()
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                finally:
                    {then}
                return original(*args, **options)
            setattr(owner, function, interrupted)
        spec.loader.exec_module = exec_module
        return spec
sys.meta_path.insert(0, Patch())
"""
HELD, SWALLOWED, GOES_ON = "held()", "swallowed()", "pass"


def moment(folder: Path, place: tuple[str, str], then: str = GOES_ON) -> tuple[Path, str]:
    """Have a program interrupt itself there: (marker, value of PYTHONPATH).

    Args:
        folder: for the code.
        place: module and function.
        then: what the call does after the signal.
    """
    marker = folder / "reached"
    code = MOMENT.format(module=place[0], function=place[1], marker=str(marker), then=then)
    (folder / "sitecustomize.py").write_text(code)
    return marker, os.pathsep.join([str(folder), *sys.path])


def interrupted(arguments, marker: Path, by_itself: bool = False, **environment: str):
    """Start a program, interrupt it once the marker exists; (status, output)."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while not marker.exists():
            ended = process.poll() is not None and not marker.exists()
            assert not ended, process.communicate()[0]
        if not by_itself:
            os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    assert not has_orphans(process.pid), "a child was left"
    return process.returncode, output
