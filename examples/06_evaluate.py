"""Accuracy and time on a folder in BOP format, as `sam6d eval` measures them.

python examples/06_evaluate.py data/still
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from sam6d_ros import load_objects, open_engine
from sam6d_ros.evaluation import report, runner
from sam6d_ros.evaluation.bop import BopDataset

dataset = BopDataset(Path(sys.argv[1]))
targets = dataset.targets()  # image by image, the objects that are to be found
obj_ids = sorted({obj_id for target in targets for obj_id in target.asked})

# BOP models are in millimetres and named by number.
files = [dataset.models_dir / f"obj_{obj_id:06d}.ply" for obj_id in obj_ids]
engine = open_engine(load_objects(files, unit="mm"))
names = {obj_id: file.stem for obj_id, file in zip(obj_ids, files, strict=True)}
models = {obj_id: engine.objects[name] for obj_id, name in names.items()}

# Any function from a frame and names to poses can be measured; here it is the engine.
results = [runner.run_image(dataset, target, names, engine.run) for target in targets]
scored = list(runner.score_results(dataset, targets, results, models))
summary = report.summarize_by_object(scored, names)  # recalls, median errors, seconds per object
Console().print(report.table(summary, str(dataset.root)))
