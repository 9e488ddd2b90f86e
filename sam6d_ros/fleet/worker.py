"""Worker of a batch: one engine, its objects onboarded once, and frames one after another."""

from __future__ import annotations

import time
from dataclasses import replace

from sam6d_ros.detectors.protocol import Detector
from sam6d_ros.detectors.table import open_detector
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.truth_boxes import boxes_of_truth
from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.tasks import BopImage, FrameTask, Work
from sam6d_ros.runtime.build import EngineSpec, Progress, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.types import Boxes, Frame


class FrameWorker:
    """Engine of some work; to be called by one thread.

    Args:
        work: what it is built from.
        progress: called with each step of its building.

    Raises:
        BackendUnavailable, CheckpointError: this machine cannot do it.
        InvalidConfig: a setting is unusable.
    """

    def __init__(self, work: Work, progress: Progress | None = None) -> None:
        self._work = work
        models = {model.name: model for model in work.models}
        objects = ObjectSet(models, settings=work.settings)
        spec = EngineSpec(work.config, work.cache_dir, objects=objects)
        self._engine = build_engine(spec, progress)
        limits = self._engine.acceptance
        self._limit = limits.min_score
        # equivalent poses as they were found, as in sam6d eval
        limits = replace(limits, canonical=False)
        self._acceptance = replace(limits, min_score=0.0) if work.keep_all else limits
        self._detector: Detector | None = None
        if work.detector:
            self._detector = open_detector(work.detector, work.detector_threshold)

    def run(self, task: FrameTask) -> FrameResult:
        """Search the objects of one frame; an error becomes part of the record."""
        try:
            return self._run(task)
        except Exception as error:  # one frame: see runtime/error_table
            return FrameResult.failed(task.key, error)

    def _run(self, task: FrameTask) -> FrameResult:
        frame = task.source.load()
        start = time.perf_counter()
        boxes = self._boxes(task, frame)
        names = None if task.names is None else list(task.names)
        poses = self._engine.run(frame, names, self._acceptance, boxes=boxes)
        elapsed = time.perf_counter() - start
        record = FrameResult.of(task.key, poses, elapsed, self._work.with_masks)
        camera = frame.camera
        size = (float(camera.width), float(camera.height))
        values = (*camera.matrix.ravel().tolist(), *size) if self._work.with_masks else ()
        return replace(record, limit=self._limit, camera=values)

    def _boxes(self, task: FrameTask, frame: Frame) -> Boxes | None:
        names = self._work.truth_names
        if names is not None:
            truth = task.source.truth() if isinstance(task.source, BopImage) else None
            if truth is None:
                raise InvalidInput("--boxes gt needs ground truth; leave the scene out by --scenes")
            objects = self._engine.objects
            return boxes_of_truth(frame, truth, {i: objects[name] for i, name in names.items()})
        if self._detector is None:
            return None
        (boxes,) = self._detector.detect([frame.rgb])
        return replace(boxes, stamp_ns=frame.stamp_ns)
