"""Write the list of compiled loops, ``sam6d_ros/stages/kernels/loops.json``.

Runs each stage of the geometric backend on a synthetic scene, and records the argument types of the
loops that Python calls. Run it after a change of a compiled loop's arguments or length:
``python scripts/record_loops.py``. The list is the same on every machine: it has no measured times.
"""

from __future__ import annotations

import inspect
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sam6d_ros.apps.compiled_loops import keep_compiled_loops
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.kernels import store
from sam6d_ros.stages.kernels.ahead import STAGES
from sam6d_ros.stages.kernels.loops import LIST, type_text
from sam6d_ros.types import Detection, Detections, PoseEstimate, PoseEstimates

TARGETS = ("tea_box", "soup_can")  # with texture and a round one: all loops are called
ROLES = dict(zip(STAGES, ("segmentation", "pose", "tracking"), strict=True))


def main() -> None:
    """Record the stages and write the list."""
    LIST.write_text(list_text(record()), encoding="utf-8")


def record() -> list[list[Any]]:
    """Return stages, function, argument types and lines of each loop, sorted.

    Each stage runs in a process of its own, and again if loops were compiled: a loop that is
    compiled as part of another one is called without compilation, and would be missing.
    """
    rows: dict[str, list[Any]] = {}
    for stage in STAGES:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            found, compiled = pool.apply(called, (stage,))
            if compiled:
                found, _ = pool.apply(called, (stage,))
        for function, types, lines in found:
            row = rows.setdefault(json.dumps([function, types]), [[], function, types, lines])
            if stage not in row[0]:  # two threads may make a first call at the same time
                row[0].append(stage)
    return [rows[key] for key in sorted(rows)]


def list_text(rows: list[list[Any]]) -> str:
    """Return the text of the list, one row a line."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    return f"[\n{lines}\n]\n"


def called(stage: str) -> tuple[list[tuple[str, list[Any], int]], bool]:
    """Record the loops that Python calls in a stage.

    Returns:
        Function, argument types and lines of each loop, and whether any was compiled.
    """
    keep_compiled_loops()
    store.folder_in_use = lambda: None  # no compilation ahead: it hides the calls
    with first_calls() as calls:
        run_stage(stage)
    names = {dispatcher: function for function, dispatcher in store.loaded_loops()}
    found = [
        (names[dispatcher], [type_text(kind) for kind in signature], source_lines(dispatcher))
        for dispatcher, signature in calls
        if dispatcher in names
    ]
    return found, any(dispatcher.stats.cache_misses for dispatcher in names)


@contextmanager
def first_calls() -> Iterator[list[tuple[Any, list[Any]]]]:
    """Collect dispatcher and argument types of each call from Python with new types.

    numba has no public hook for it: compiled code does not come here, nor does ``compile``.

    Yields:
        The list, which grows while the context is open.
    """
    from numba.core.dispatcher import Dispatcher

    calls: list[tuple[Any, list[Any]]] = []
    original = Dispatcher._compile_for_args

    def recording(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append((self, [self.typeof_pyval(value) for value in args]))
        return original(self, *args, **kwargs)

    Dispatcher._compile_for_args = recording
    try:
        yield calls
    finally:
        Dispatcher._compile_for_args = original


def source_lines(dispatcher: Any) -> int:
    """Return the lines of a loop and of the loops that it calls: a measure of its compilation."""
    from numba.core.dispatcher import Dispatcher

    seen: list[Any] = []
    open_ends = [dispatcher]
    while open_ends:
        function = open_ends.pop().py_func
        if function in seen:
            continue
        seen.append(function)
        parts = (function.__globals__.get(name) for name in function.__code__.co_names)
        open_ends += [part for part in parts if isinstance(part, Dispatcher)]
    return sum(len(inspect.getsource(function).splitlines()) for function in seen)


def run_stage(stage: str) -> None:
    """Warm an engine up and run it on a synthetic scene."""
    scene = make_scene(0, targets=TARGETS, clutter=0, cache_dir=default_cache_dir())
    view = scene.views[0]
    objects = ObjectSet({model.name: model for model in scene.objects})
    config = PipelineConfig(backend="geometric")
    # no cache: preparing the objects calls loops too
    engine = build_engine(EngineSpec(config, role=ROLES[stage], objects=objects))
    calls: dict[str, Callable[[], object]] = {
        "segment": lambda: engine.segment(view.frame),
        "estimate": lambda: engine.estimate(view.frame, detections),
        "track": lambda: engine.track(view.frame, poses),
    }
    truth = view.ground_truth
    detections = Detections(tuple(Detection(t.class_id, 1.0, t.mask) for t in truth))
    found = [PoseEstimate(t.class_id, 1.0, t.cam_from_obj, mask=t.mask) for t in truth]
    poses = PoseEstimates(tuple(found), 0, "")
    calls[stage]()


if __name__ == "__main__":
    main()
