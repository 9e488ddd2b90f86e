"""Entry point of the command `sam6d`, which imports no library by itself.

Libraries that are interrupted while they are imported print tracebacks, or go on. Until the command
is there, Ctrl-C ends the process by the signal, without a word; a shell shows status 130.
"""

from __future__ import annotations

import signal
import sys

from sam6d_ros.apps.interrupts import INTERRUPTED, end_process, limit_the_end

BAD_INPUT = 2


def main() -> int:
    """Import the commands and run one. After Ctrl-C end the process, whatever its threads do.

    Returns:
        The exit code.
    """
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sam6d_ros.apps.compiled_loops import keep_compiled_loops
    from sam6d_ros.errors import Sam6dError

    try:
        keep_compiled_loops()  # numba raises while it is imported if it finds no folder
    except Sam6dError as error:
        print(f"sam6d: {error}", file=sys.stderr)
        return BAD_INPUT
    from sam6d_ros.apps.cli.main import main as run

    if not ours:
        return run()
    sys.unraisablehook = _unraisable
    limit_the_end(INTERRUPTED, _interrupts_python)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = run()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:  # just outside of ``run``, or the second one
        status = INTERRUPTED
    if status == INTERRUPTED:
        end_process(status)
    return status


def _interrupts_python() -> bool:
    """Whether no command has taken Ctrl-C over, to close files or to finish requests."""
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _unraisable(about: sys.UnraisableHookArgs) -> None:
    """Report an exception in a ``__del__`` or a callback of a library, but no Ctrl-C."""
    if not issubclass(about.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(about)


if __name__ == "__main__":
    raise SystemExit(main())
