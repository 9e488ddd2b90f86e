"""Engine double whose loading and stages can be held, for tests of the nodes meanwhile.

Each step reads a named pipe to its end, if there is one of its name in the folder $HELD_STAGES:
``load``, ``segment``, ``estimate``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def held(stage, name):
    """The stage, once the pipe allows it."""

    def run(*args):
        pipe = Path(os.environ["HELD_STAGES"], name)
        if pipe.exists():
            pipe.read_bytes()
        return stage(*args)

    return run


class Hold:
    """The test's end: holds a stage from its making until ``release``."""

    def __init__(self, folder, name):
        self._pipe, self._writer = Path(folder, name), None
        os.mkfifo(self._pipe)

    def reached(self):
        """Whether the stage has begun, and waits."""
        try:
            self._writer = self._writer or os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no reader yet
            return False
        return True

    def release(self):
        """Let it go on, and all later ones."""
        self._pipe.unlink()
        if self._writer:
            os.close(self._writer)


if __name__ == "__main__":
    import engine_double  # beside this file

    engine_double.build = held(engine_double.build, "load")
    scorer, estimator = engine_double.ColourScorer, engine_double.CentroidEstimator
    scorer.score = held(scorer.score, "segment")
    estimator.estimate = held(estimator.estimate, "estimate")
    sys.exit(engine_double.main(sys.argv[1], sys.argv[2:]))
