"""Detector in a process of its own: its crash ends neither the server nor another model."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from sam6d_ros.detectors.model import INFERENCE, no_measure
from sam6d_ros.errors import BackendUnavailable, DeadlineExceeded, InvariantError
from sam6d_ros.runtime.model_server.detector_model import answer_of, open_detector_model
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer, FrameInput, Measure
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.types import Boxes

LOAD_S = 120.0  # imports of libraries included
END_S = 5.0
WARM_UP = "warm up"


@dataclass(frozen=True)
class Facts:
    """Properties of the loaded model."""

    backend: str
    device: str
    labels: tuple[str, ...]
    max_batch: int


class ProcessModel:
    """``FrameModel`` of a detector that another process holds; one thread uses it.

    A process that has ended is started again by the next call.

    Args:
        spec: of a detector.

    Raises:
        Sam6dError: the detector cannot be loaded.
    """

    needs_depth = False

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # threads and CUDA do not survive a fork
        self._pipe, child = context.Pipe()
        name = f"model {self._spec.name}"
        self._process = context.Process(
            target=_serve, args=(child, self._spec), name=name, daemon=True
        )
        self._process.start()
        child.close()
        try:
            facts: Facts = self._received(LOAD_S, "while it was loading")
        except BaseException:
            self._kill()
            raise
        self.backend, self.device = facts.backend, facts.device
        self.labels, self.max_batch = facts.labels, facts.max_batch

    def serve(
        self, inputs: Sequence[FrameInput], measure: Measure
    ) -> list[FrameAnswer | Exception]:
        """Return the boxes of each image; see `FrameModel.serve`.

        Args:
            inputs: the images.
            measure: context that measures a phase by its name.
        """
        plain = [FrameInput(item.image_rgb, item.threshold) for item in inputs]  # without depth
        with measure(INFERENCE):
            found: list[Boxes | Exception] = self._asked(plain)
        return [
            outcome if isinstance(outcome, Exception) else answer_of(outcome, item)
            for outcome, item in zip(found, inputs, strict=True)
        ]

    def warm_up(self) -> None:
        """Run the detector once."""
        self._asked(WARM_UP)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()  # the end of its input ends it
        self._process.join(END_S)
        self._kill()

    def _asked(self, job: Any) -> Any:
        """Return the result of a job.

        Raises:
            BackendUnavailable: the process ended.
            DeadlineExceeded: it gave no result in time, and was ended.
            Sam6dError: of the detector.
        """
        if not self._process.is_alive():
            self._kill()
            self._start()
        with suppress(OSError):  # it ended; the wait below gives its status
            self._pipe.send(job)
        return self._received(self._spec.timeout_s, "in its last call")

    def _received(self, timeout_s: float, moment: str) -> Any:
        ready = wait([self._pipe, self._process.sentinel], timeout_s)
        result = None
        if self._pipe in ready:
            with suppress(EOFError, OSError, pickle.UnpicklingError):  # cut off by the end
                result = self._pipe.recv()
        if result is None:
            in_time = bool(ready)
            self._kill()
            raise self._ended(moment) if in_time else self._late(timeout_s, moment)
        if isinstance(result, Exception):
            raise result
        return result

    def _ended(self, moment: str) -> BackendUnavailable:
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        return BackendUnavailable(
            f"the process of model '{self._spec.name}' ended {moment} ({how}); the next request "
            "starts it again"
        )

    def _late(self, timeout_s: float, moment: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the process of model '{self._spec.name}' gave no answer within {timeout_s:g} s "
            f"{moment} and was ended; the next request starts it again"
        )

    def _kill(self) -> None:
        self._process.join(0.2)  # one that just ended has its exit code a moment later
        if self._process.is_alive():
            self._process.kill()
            self._process.join(END_S)
        self._pipe.close()


# --- in the other process


def _serve(pipe: Connection, spec: ModelSpec) -> None:
    """Load the detector, report it, and do jobs until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it
    try:
        model = open_detector_model(spec)
    except Exception as error:
        pipe.send(_portable(error))
        return
    pipe.send(Facts(model.backend, model.device, model.labels, model.max_batch))
    with suppress(EOFError, OSError):
        while True:
            job = pipe.recv()
            try:
                result = _done(model, job)
            except Exception as error:
                result = _portable(error)
            pipe.send(result)
    model.close()


def _done(model: Any, job: Any) -> Any:
    if job == WARM_UP:
        model.warm_up()
        return True
    return [
        _portable(answer) if isinstance(answer, Exception) else answer.boxes
        for answer in model.serve(job, no_measure)
    ]


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent: itself, or a defect with its text."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return InvariantError(f"{type(error).__name__}: {error}")
