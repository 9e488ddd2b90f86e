"""Scorer of the geometric backend: the whole search, object by object in threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.compare import explained_mask
from sam6d_ros.stages.geometric.evidence import Evidence, evidence
from sam6d_ros.stages.geometric.faces import has_large_face, with_faces
from sam6d_ros.stages.geometric.flow import Checkpoint, Search
from sam6d_ros.stages.geometric.instances import Instance, instances_of
from sam6d_ros.stages.geometric.judge import shipped_judge
from sam6d_ros.stages.geometric.kit import ObjectKit, kit_of
from sam6d_ros.stages.geometric.likely import likely_first
from sam6d_ros.stages.geometric.scene import SceneMaps, at_working_size, resized
from sam6d_ros.stages.geometric.seeds import seeds_in
from sam6d_ros.stages.kernels.threads import in_threads
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Detection, Detections, Proposals, Scene

MIN_PROBABILITY = 0.02  # of a detection: the threshold decides, this bounds the work before it
SPARE_DETECTIONS = 2  # beyond max_instances: better poses of other objects may own the pixels
OWN_REGION_SHARE = 0.6  # of a region that is explained: the rest of it is the object's as well


@dataclass(frozen=True)
class _Task:
    """Search for one object.

    Attributes:
        kit: the object.
        labels: (H, W) number of the region at each pixel, 0 = none.
        window: (H, W) bool pixels where the search begins, None for everywhere.
        limit: largest number of instances.
    """

    kit: ObjectKit
    labels: NDArray[np.int32]
    window: NDArray[np.bool_] | None
    limit: int


class TemplateScorer:
    """Finds instances by placing rendered views on the regions; masks show what they explain."""

    def __init__(self, context: BuildContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._clock = context, clock

    def prepare(self, model: ObjectModel) -> None:
        """Render the views of the object, or load them from the cache.

        Args:
            model: the object.
        """
        kit_of(model, self._context)

    def score(
        self,
        scene: Scene,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> Detections:
        """Return detections of all objects, best first; several may claim the same pixels.

        Args:
            scene: the frame.
            proposals: regions of the frame.
            objects: objects to find.
            limits: largest number of instances, by object.
        """
        view = scene.derived(evidence)
        tasks = self._tasks(view.scene, proposals, objects, limits)
        found, unsearched = self._searched(view, tasks, scene.checkpoint)
        size = (scene.frame.camera.width, scene.frame.camera.height)
        items = [
            Detection(
                task.kit.model.name,
                instance.any_right,
                resized(_mask(view.scene, task, instance), size),
                f"{task.kit.model.name}_{index}",
                instance.poses,
            )
            for task, instances in found
            for index, instance in enumerate(instances)
        ]
        reason = "" if items else "no region resembles any of the objects"
        return Detections(tuple(sorted(items, key=lambda item: -item.score)), reason, unsearched)

    def _searched(
        self, view: Evidence, tasks: Sequence[_Task], checkpoint: Checkpoint
    ) -> tuple[list[tuple[_Task, list[Instance]]], tuple[str, ...]]:
        """Return the instances of each object, and the objects for which there was no time."""
        budget_s = self._context.config.budget_s
        if budget_s is None or not tasks:
            every = in_threads(lambda task: _detect(view, task, checkpoint), tasks)
            return list(zip(tasks, every, strict=True)), ()
        end = self._clock() + budget_s
        labels = np.max([task.labels for task in tasks], axis=0)
        order = likely_first(view.scene, labels, [task.kit for task in tasks])
        ranked = [tasks[i] for i in order]

        def within_budget(task: _Task) -> list[Instance] | None:
            in_time = task is ranked[0] or self._clock() < end
            return _detect(view, task, checkpoint) if in_time else None

        results = list(zip(ranked, in_threads(within_budget, ranked), strict=True))
        found = [(task, instances) for task, instances in results if instances is not None]
        return found, tuple(task.kit.model.name for task, rest in results if rest is None)

    def _tasks(
        self,
        scene: SceneMaps,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> list[_Task]:
        """Return one search for each object that a region may show."""
        images: dict[tuple[int, ...], NDArray[np.int32]] = {}
        tasks = []
        for model in objects:
            allowed = tuple(i for i in range(len(proposals)) if proposals.allows(i, model.name))
            if not allowed:
                continue
            if allowed not in images:
                images[allowed] = label_image(proposals, allowed, scene)
            labels = images[allowed]
            window = proposals.windows.get(model.name)
            anywhere = window is not None or set(proposals.class_ids) == {None}
            if anywhere and has_large_face(model):
                labels = with_faces(labels, scene, model)
            inside = None if window is None else at_working_size(window, scene)
            kit = kit_of(model, self._context).seen_in(scene)
            limit = limits[model.name] + SPARE_DETECTIONS
            tasks.append(_Task(kit, labels, inside, limit))
        return tasks


def _detect(view: Evidence, task: _Task, checkpoint: Checkpoint) -> list[Instance]:
    """Return the instances of one object that are not hopeless."""
    checkpoint()
    seeds = seeds_in(view.scene, task.labels, task.kit, task.window)
    search = Search(view, view.maps(task.labels), task.kit, checkpoint=checkpoint)
    found, features = search.run(seeds)
    probability = shipped_judge().probability(features.values)
    return instances_of(view, task.kit, found, probability, task.limit, MIN_PROBABILITY)


def _mask(scene: SceneMaps, task: _Task, instance: Instance) -> NDArray[np.bool_]:
    """Return the pixels (H, W) of an instance at the working size."""
    explained = explained_mask(scene, task.kit.model, instance.poses[0])
    return _with_own_regions(explained, task.labels)


def label_image(proposals: Proposals, chosen: Sequence[int], scene: SceneMaps) -> NDArray[np.int32]:
    """Return the number of the chosen region at each pixel of the working size, 0 = none.

    Smaller regions lie on top.

    Args:
        proposals: regions of the frame.
        chosen: numbers of the regions.
        scene: maps of the frame.
    """
    size = (scene.camera.width, scene.camera.height)
    labels = np.zeros(size[::-1], np.int32)
    for index in np.asarray(chosen)[np.argsort([-proposals.masks[i].sum() for i in chosen])]:
        labels[at_working_size(proposals.masks[index], scene)] = index + 1
    return labels


def _with_own_regions(explained: NDArray[np.bool_], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return the explained pixels and every region that is explained for the most part.

    The rest of such a region (a handle, say) is the object's as well, though this pose misses it.
    """
    total = np.bincount(labels.ravel())
    share = np.bincount(labels[explained], minlength=len(total)) / np.maximum(total, 1)
    own = share >= OWN_REGION_SHARE
    own[0] = False
    return explained | own[labels]
