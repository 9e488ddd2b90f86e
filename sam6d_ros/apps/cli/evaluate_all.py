"""`sam6d eval --ask-all`: every model of a dataset is asked for in every annotated image."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
from rich.box import SIMPLE_HEAD
from rich.progress import track
from rich.table import Table

from sam6d_ros.apps.cli.options import CONSOLE, load_engine, result_console
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidDataset, InvalidInput
from sam6d_ros.evaluation import catalogue
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.bop_truth import MIN_VISIBILITY
from sam6d_ros.evaluation.losses import lost_at
from sam6d_ros.evaluation.reliability import picture
from sam6d_ros.evaluation.report import machine, number, plain
from sam6d_ros.evaluation.statistics import Rate
from sam6d_ros.json_text import json_text
from sam6d_ros.stages.geometric.diagnosis import STAGES, stages_of
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Frame, PoseEstimates, Scene


def add_options(group: argparse._ArgumentGroup) -> None:
    """Declare the options."""
    group.add_argument(
        "--ask-all",
        action="store_true",
        help="ask for every model in every annotated image, present or not: recall and precision "
        "at the threshold, average precision, calibration error, processor seconds",
    )
    group.add_argument(
        "--min-visible",
        type=float,
        default=MIN_VISIBILITY,
        metavar="SHARE",
        help="with --ask-all: instances that are seen less count neither way (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--reliability",
        type=Path,
        metavar="PNG",
        help="with --ask-all: write the reliability diagram and the risk-coverage curve",
    )
    group.add_argument(
        "--explain-losses",
        action="store_true",
        help="with --ask-all and the geometric backend: the stage at which each missed instance is "
        "lost; searches once more",
    )


def run(args: argparse.Namespace, dataset: BopDataset, models: Mapping[int, ObjectModel]) -> int:
    """Search all images, print the table, write the JSON.

    Returns:
        Exit code.

    Raises:
        InvalidDataset: no image is annotated.
        InvalidInput: an option is out of its range, or does not go with ``--ask-all``.
    """
    if not 0 <= args.min_visible <= 1:
        raise InvalidInput(f"--min-visible is {args.min_visible}; expected a number in [0, 1]")
    if args.reliability and args.reliability.suffix.lower() != ".png":
        raise InvalidInput(f"--reliability is {args.reliability}; expected a name with .png")
    for name in ("csv", "from_csv", "boxes", "detector", "ray", "shards"):
        if getattr(args, name, None) is not None:
            raise InvalidInput(f"--{name.replace('_', '-')} does not go with --ask-all")
    images = dataset.images(args.scenes)
    most = args.max_instances or _largest_count(dataset, images)
    engine = load_engine(args, list(models.values()), args.min_score, most)
    threshold = engine.acceptance.min_score
    every = replace(engine.acceptance, min_score=0.0, canonical=False)

    def search(frame: Frame, names: Sequence[str]) -> PoseEstimates:
        return engine.run(frame, names, every)

    found = [
        catalogue.search_image(dataset, image, models, search, args.min_visible)
        for image in track(images, "searching", console=CONSOLE)
    ]
    scored = [image for image in found if image is not None]
    if not scored:
        raise InvalidDataset(f"{dataset.root} has no annotated image; --ask-all needs ground truth")
    values = catalogue.summarize(scored, threshold)
    console = result_console()
    console.print(table(scored, values))
    if args.reliability:
        write_reliability(args.reliability, scored)
    if args.explain_losses:
        missed = losses_of(args, dataset, models, scored)
        console.print(losses_table(missed))
        values["losses"] = missed
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json_text(as_json(scored, values)))
    return 0


def write_reliability(path: Path, images: Sequence[catalogue.CatalogueImage]) -> None:
    """Write the diagrams of all answers as a PNG file."""
    answers = [answer for image in images for answer in image.answers]
    image = picture([answer.score for answer in answers], [answer.right for answer in answers])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def losses_of(
    args: argparse.Namespace,
    dataset: BopDataset,
    models: Mapping[int, ObjectModel],
    images: Sequence[catalogue.CatalogueImage],
) -> dict[str, int]:
    """Return the number of missed instances by the stage at which they are lost.

    Raises:
        InvalidInput: another backend was asked for.
    """
    if args.backend != "geometric":
        raise InvalidInput(f"--explain-losses needs --backend geometric, not {args.backend}")
    context = BuildContext(PipelineConfig(backend="geometric"), args.cache_dir)
    found: Counter[str] = Counter()
    for image in track([i for i in images if i.missed], "explaining", console=CONSOLE):
        scene = Scene(dataset.frame(image.scene_id, image.im_id))
        truth = dataset.ground_truth(image.scene_id, image.im_id) or ()
        for name in sorted(set(image.missed)):
            obj_id = next(key for key, model in models.items() if model.name == name)
            tables = stages_of(scene, models[obj_id], context)
            found.update(
                lost_at(tables, instance.cam_from_obj, models[obj_id])
                for instance in truth
                if instance.obj_id == obj_id and instance.visibility >= args.min_visible
            )
    found["judged"] = sum(len(image.missed) for image in images) - (found.total() - found["judged"])
    return dict(found)


def losses_table(losses: Mapping[str, int]) -> Table:
    """Return one row per stage that loses instances."""
    out = Table(
        caption="missed instances; judged: a right pose was among the candidates, and scored less",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    out.add_column("lost at")
    out.add_column("instances", justify="right")
    for stage in sorted(losses, key=(*STAGES, "judged").index):
        out.add_row(stage, str(losses[stage]))
    return out


def _largest_count(dataset: BopDataset, images: Sequence[tuple[int, int]]) -> int:
    """Return the largest number of instances of one object in one image."""
    most = 1
    for image in images:
        ids = [instance.obj_id for instance in dataset.ground_truth(*image) or ()]
        most = max([most, *(ids.count(obj_id) for obj_id in set(ids))])
    return most


def table(images: Sequence[catalogue.CatalogueImage], values: Mapping[str, Any]) -> Table:
    """Return one row per image and one for all."""
    threshold = values["min_score"]
    caption = (
        f"right: ADD(-S) < 10 % of the diameter; at the threshold {threshold:g}; AP and "
        f"calibration error of all {values['poses']} poses; 95 % Wilson intervals"
    )
    out = Table(caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("scene", "image", "instances", "right", "wrong", "missed", "CPU s"):
        out.add_column(column, justify="left" if column == "missed" else "right")
    for image in images:
        kept = [answer for answer in image.answers if answer.score >= threshold]
        right = sum(answer.right for answer in kept)
        out.add_row(
            str(image.scene_id),
            str(image.im_id),
            str(image.positives),
            str(right),
            str(len(kept) - right),
            ", ".join(image.missed) or "–",
            f"{image.cpu_s:.1f}",
        )
    out.add_section()
    out.add_row("all", "", str(values["instances"]), *_sums(values), style="bold")
    return out


def _sums(values: Mapping[str, Any]) -> list[str]:
    recall, precision = values["recall"], values["precision"]
    text = (
        f"recall {rate_text(recall)}, precision {rate_text(precision)}, "
        f"AP {number(values['average_precision'], 2)}, "
        f"calibration error {number(values['calibration_error'], 2)}"
    )
    wrong = precision.total - precision.count
    return [str(recall.count), str(wrong), text, f"{sum(values['cpu_s']):.1f}"]


def rate_text(rate: Rate) -> str:
    """Return a share with its interval."""
    low, high = rate.interval
    return f"{number(rate.value, 2)} [{low:.2f}, {high:.2f}]"


def as_json(
    images: Sequence[catalogue.CatalogueImage], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything as plain values."""
    rates = {
        key: {"count": rate.count, "total": rate.total, "interval_95": list(rate.interval)}
        for key, rate in values.items()
        if isinstance(rate, Rate)
    }
    return {
        "machine": machine(),
        "summary": plain({**values, **rates}),
        "images": [
            {**asdict(image), "answers": [plain(asdict(answer)) for answer in image.answers]}
            for image in images
        ],
    }
