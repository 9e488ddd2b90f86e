"""`sam6d eval --ray`: the images of a dataset on many machines, resumable."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sam6d_ros.apps.cli.evaluate_run import MethodRun, limit_of
from sam6d_ros.apps.cli.fleet_options import gravest_code, pool_of, shards_beside, show_batch
from sam6d_ros.apps.cli.options import CONSOLE, config_of
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.results_csv import ImageResult
from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.shards import ShardFolder
from sam6d_ros.fleet.tasks import BopImage, FrameTask, Work


class FleetRun:
    """Images of a dataset as frames of a batch.

    Args:
        args: of the command.
        dataset: that the images are of.
        targets: objects to search in each image.
        models: objects by number.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        dataset: BopDataset,
        targets: Sequence[ImageTargets],
        models: Mapping[int, ObjectModel],
    ) -> None:
        self._args, self._dataset, self._targets = args, dataset, targets
        self._names = {obj_id: model.name for obj_id, model in models.items()}
        self._numbers = {name: obj_id for obj_id, name in self._names.items()}
        self._work = Work(
            config_of(args, args.min_score, limit_of(args, targets)),
            args.cache_dir,
            tuple(models.values()),
            keep_all=args.min_score is None,
            detector=args.detector or "",
            detector_threshold=args.detector_threshold,
            truth_names=self._names if args.boxes else None,
        )

    def run(self) -> MethodRun:
        """Search all images that have no result yet; return all, in the order of the targets."""
        with self._folder() as folder, ShardFolder(folder, self._statement()) as shards:
            tasks = [self._task(target) for target in self._targets]
            todo = [task for task in tasks if not shards.is_done(task.key)]
            if len(todo) < len(tasks):
                done = len(tasks) - len(todo)
                CONSOLE.print(f"{done} of {len(tasks)} images are done already", markup=False)
            if todo:
                with pool_of(self._args, self._work) as pool:
                    show_batch(pool, todo, shards, len(todo))
            records = [shards.records[task.key] for task in tasks]
        results = [self._result(t, r) for t, r in zip(self._targets, records, strict=True)]
        limit = max(record.limit for record in records)
        return MethodRun(results, gravest_code(records), limit)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Yield the folder of the shards: that of the options, or one until the end of the run."""
        if self._args.shards is not None or self._args.csv is not None:
            yield self._args.shards or shards_beside(self._args.csv)
            return
        with TemporaryDirectory(prefix="sam6d_eval_") as folder:
            yield Path(folder)

    def _statement(self) -> dict[str, object]:
        root = str(self._dataset.root.resolve())
        where = {"dataset": root, "split": self._dataset.split_dir.name}
        return {**where, "sensor": self._dataset.sensor, **self._work.statement()}

    def _task(self, target: ImageTargets) -> FrameTask:
        root, split = self._dataset.root.resolve(), self._dataset.split_dir.name
        image = BopImage(root, split, self._args.sensor, target.scene_id, target.im_id)
        names = tuple(self._names[obj_id] for obj_id in target.asked)
        return FrameTask(f"scene {target.scene_id} image {target.im_id}", image, names)

    def _result(self, target: ImageTargets, record: FrameResult) -> ImageResult:
        found = tuple(
            (self._numbers[item.name], item.estimate())
            for item in record.found
            if item.name in self._numbers
        )
        ids = (target.scene_id, target.im_id)
        return ImageResult(*ids, found, record.time_s, record.reason)
