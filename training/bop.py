"""Images of a data set in BOP format as scenes: every model is asked for in every image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop import BopDataset
from training.scenes import TrainingScene, Truth


def read_scenes(
    folder: Path, cache_dir: Path
) -> Iterator[tuple[str, TrainingScene, dict[str, ObjectModel]]]:
    """Yield a name, the scene and all models of each annotated image.

    The domain is the folder's name; a folder with "bin" in its name is searched as bins are.
    """
    dataset = BopDataset(folder)
    ids = dataset.model_ids()
    models = dict(zip(ids, load_bop_models(dataset.models_dir, ids, cache_dir), strict=True))
    by_name = {model.name: model for model in models.values()}
    for scene_id, im_id in dataset.images(None):
        known = [gt for gt in dataset.ground_truth(scene_id, im_id) or () if gt.obj_id in models]
        if not known:
            continue
        truth = [Truth(models[gt.obj_id].name, gt.cam_from_obj, gt.visibility) for gt in known]
        scene = TrainingScene(
            folder.name, dataset.frame(scene_id, im_id), tuple(truth), tuple(by_name)
        )
        yield f"{folder.name}_{scene_id:06d}_{im_id:06d}", scene, by_name
