"""Compilation of the loops before they are needed, shared by all processes that start together.

Each loop is compiled by the first process that takes its lock file; the others load its code. A
process that needs the loops starts one helper, unless another process has started one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sam6d_ros.stages.kernels import old_folders, store
from sam6d_ros.stages.kernels.loops import Loop, recorded

_LOG = logging.getLogger(__name__)
STAGES = ("segment", "estimate", "track")
DONE = "done-"  # files that mark the stages whose loops are compiled, with the place of the sources


def compile_ahead(stages: Sequence[str], report: Callable[[str], None]) -> None:
    """Compile the loops of some stages; at once where they were compiled before.

    Without a folder for the code (``store.keep_in``) nothing is done: each loop is then compiled at
    its first call.

    Args:
        report: called with each step.
        stages: names of stages.
    """
    folder = store.folder_in_use()
    if folder is None or not stages:
        return
    if folder == store.code_folder(folder.parent.parent):  # not one that the user has set
        old_folders.use(folder)
        for name in old_folders.remove_unused(folder.parent):
            _LOG.info("removed the compiled loops %s, which were not used for a month", name)
    done = {stage: folder / f"{DONE}{stage}-{store.place()}" for stage in stages}
    missing = [stage for stage in stages if not done[stage].exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    helper = _start_helper(folder, missing)
    loops = recorded(missing)
    postponed = [
        (number, loop)
        for number, loop in enumerate(loops, start=1)
        if not _compile(folder, loop, f"{number} of {len(loops)}", report, wait=False)
    ]
    for number, loop in postponed:
        _compile(folder, loop, f"{number} of {len(loops)}", report, wait=True)
    if helper is not None:
        helper.wait()
        if helper.stdin is not None:
            helper.stdin.close()
    for stage in missing:
        done[stage].touch()


def _compile(
    folder: Path, loop: Loop, which: str, report: Callable[[str], None], wait: bool
) -> bool:
    """Compile a loop unless another process compiles it and is not waited for."""
    with _locked(folder / f"{loop.function.replace(':', '.')}.lock", wait) as owned:
        if not owned:
            return False
        report(f"compiling loop {which} (first start only)")
        try:
            loop.compile()
        except Exception as error:  # it is compiled at its first call, or fails there
            _LOG.info("loop %s was not compiled ahead: %s", loop.function, error)
        return True


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold a lock file; yield whether it is held."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def _start_helper(folder: Path, stages: Sequence[str]) -> subprocess.Popen[bytes] | None:
    """Start a process that compiles the same loops; None on one core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if (cores or 1) < 2:
        return None
    command = [sys.executable, "-m", __name__, str(folder), *stages]
    silent = subprocess.DEVNULL
    # the pipe ends with this process, and the helper with the pipe
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=silent, stderr=silent)


def help_compile(folder: Path, stages: Sequence[str]) -> None:
    """Compile the loops that no other process compiles; return at once if a helper runs already.

    Args:
        folder: of the compiled code.
        stages: names of the stages whose loops are compiled.
    """
    with _locked(folder / "helper.lock", wait=False) as is_only:
        if is_only:
            store.keep_in(folder)
            for loop in recorded(stages):
                _compile(folder, loop, "", lambda _: None, wait=False)


def _end_with_parent() -> None:
    """End this process once the process that started it has ended."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    help_compile(Path(sys.argv[1]), sys.argv[2:])
