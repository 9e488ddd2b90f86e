"""Image, models and truth of the demo: from a dataset, or synthetic. Imports nothing of ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.evaluation.synthetic import make_scene, write_bop
from sam6d_ros.evaluation.synthetic.parts import part_of
from sam6d_ros.types import Frame


@dataclass(frozen=True)
class Task:
    """One image of a BOP dataset: what the camera shows and what is to be found.

    Attributes:
        scene_dir: folder that the replay node sends.
        im_id: the image in it.
        frame: the same image, for the picture.
        truth: annotated instances; empty when there are no annotations.
        models: the objects to look for, by their number in the dataset.
        unit: unit of their files.
    """

    scene_dir: Path
    im_id: int
    frame: Frame
    truth: tuple[GroundTruth, ...]
    models: dict[int, ObjectModel]
    unit: str = "mm"


@dataclass(frozen=True)
class DemoScene:
    """Choice of the demo's scene.

    Attributes:
        dataset: BOP-format folder; None for a synthetic scene.
        scene: its scene; the first with targets when None.
        cad: CAD files to put into the synthetic scene; its own objects when empty.
        cad_unit: unit of these files.
        seed: decides the synthetic scene.
    """

    dataset: Path | None = None
    scene: int | None = None
    cad: Sequence[Path] = ()
    cad_unit: str = "auto"
    seed: int = 0


def make_task(chosen: DemoScene, out: Path) -> Task:
    """Return the image to search; a synthetic scene is written to ``out/scene``.

    Raises:
        InvalidInput: the dataset or a CAD file is unusable.
    """
    if chosen.dataset is not None:
        return read_task(chosen.dataset, chosen.scene)
    cache_dir = default_cache_dir()
    parts = [part_of(path, chosen.cad_unit, cache_dir) for path in chosen.cad]
    made = make_scene(chosen.seed, parts=parts, cache_dir=cache_dir)
    task = read_task(write_bop(made, out / "scene"), 0)
    return _searched_as_given(task, chosen) if chosen.cad else task


def _searched_as_given(task: Task, chosen: DemoScene) -> Task:
    """Look for the user's files: the scene's meshes of them have colours in any case."""
    unit, cache_dir = chosen.cad_unit, default_cache_dir()
    given = [onboard(path, unit=unit, cache_dir=cache_dir) for path in chosen.cad]
    by_name = {model.name: model for model in given}
    models = {obj_id: by_name[model.name] for obj_id, model in task.models.items()}
    return replace(task, models=models, unit=unit)


def read_task(dataset: Path, scene: int | None) -> Task:
    """The first image with targets of a BOP dataset (or of one of its scenes)."""
    bop = BopDataset(dataset)
    target = bop.targets(None if scene is None else [scene])[0]
    models = load_bop_models(bop.models_dir, target.asked, default_cache_dir())
    truth = bop.ground_truth(target.scene_id, target.im_id) or ()
    return Task(
        scene_dir=bop.scene_dir(target.scene_id).resolve(),
        im_id=target.im_id,
        frame=bop.frame(target.scene_id, target.im_id),
        truth=tuple(instance for instance in truth if instance.obj_id in target.counts),
        models=dict(zip(target.asked, models, strict=True)),
    )
