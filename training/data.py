"""``python -m training.data OUT``: make scenes, search them, write labelled candidates.

A file that is there is not made again, so that an interrupted run resumes. After a change of the
search remove OUT/candidates; after a change of the scenes remove OUT.

  OUT/scenes/train_table_0000.npz       images, truth, names to ask for
  OUT/candidates/train_table_0000.npz   features, errors, quarter-size masks of all candidates
  OUT/cache/                            onboarded objects
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from training import bop, objects
from training.files import load_scene, save_candidates, save_scene
from training.scenes import PATTERN, make_scene
from training.search import Searcher

SCENES = {"train": "0-23,55-69", "validation": "0", "test": "0"}  # of the shipped judge
TRACED = "traced"  # split of the path-traced scenes


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m training.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder, made where it is absent")
    for split, scenes in SCENES.items():
        parser.add_argument(
            f"--{split}", type=numbers, default=scenes, metavar="N",
            help=f"scenes of the {split} split: how many, or numbers as 0-9,20-29 "
            f"(default: {scenes}, those of the shipped judge)",
        )  # fmt: skip
    parser.add_argument(
        "--bop", type=Path, nargs="*", default=[], metavar="FOLDER",
        help="data sets in BOP format that validate the judge; never trained on",
    )  # fmt: skip
    parser.add_argument(
        "--traced", type=Path, nargs="*", default=[], metavar="FOLDER",
        help='path-traced data sets in BOP format that the judge is fitted on; "bin" or "table" in '
        "the folder's name is the kind of their scenes",
    )  # fmt: skip
    parser.add_argument("--processes", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--scenes-only", action="store_true", help="make scenes, search nothing")
    args = parser.parse_args(argv)
    jobs = [(split, i) for split in SCENES for i in getattr(args, split)]
    one = partial(run_job, args.out, args.scenes_only)
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # the processes are the parallel part
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for done, text in enumerate(pool.imap_unordered(one, jobs), start=1):
            if text:
                print(f"{done}/{len(jobs)} {text}", flush=True)
    for folder in args.bop:
        search_bop(args.out, folder, "bop")
    for folder in args.traced:
        search_bop(args.out, folder, TRACED)
    return 0


def numbers(text: str) -> list[int]:
    """Return the scene numbers that a count or a list of ranges names."""
    if text.isdecimal():
        return list(range(int(text)))
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def scene_name(split: str, index: int) -> str:
    """Return the file name of the scene of an index: kinds alternate by ``scenes.PATTERN``."""
    return f"{split}_{PATTERN[index % len(PATTERN)]}_{index:04d}"


def run_job(out: Path, scenes_only: bool, job: tuple[str, int]) -> str:
    """Make one scene and its candidates where they are missing; return a line of the log."""
    split, index = job
    name = scene_name(split, index)
    scene_path, path = out / "scenes" / f"{name}.npz", out / "candidates" / f"{name}.npz"
    start = time.process_time()
    if not scene_path.exists():
        save_scene(scene_path, make_scene(PATTERN[index % len(PATTERN)], split, index))
    made = time.process_time()
    if scenes_only or path.exists():
        return f"{name} made in {made - start:.1f} CPU s" if made - start > 0.1 else ""
    scene = load_scene(scene_path)
    models = {asked: objects.model(asked, out / "cache") for asked in scene.asked}
    found = Searcher(out / "cache").candidates(scene, models)
    save_candidates(path, found)
    right = sum(found.error < 0.1)
    return (
        f"{name}: {len(found.error)} candidates, {right} right, {len(scene.truth)} instances, "
        f"{len(scene.asked)} asked, {time.process_time() - made:.1f} CPU s"
    )


def search_bop(out: Path, folder: Path, split: str) -> None:
    """Write the candidates of a data set's images where they are missing."""
    searcher = Searcher(out / "cache")
    for name, scene, models in bop.read_scenes(folder, out / "cache"):
        path = out / "candidates" / f"{split}_{name}.npz"
        if not path.exists():
            save_candidates(path, searcher.candidates(scene, models))
            print(f"{split}_{name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
