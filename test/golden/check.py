"""Compare our networks with golden vectors of the original: ``python test/golden/check.py FOLDER``.

Recognises every kind of golden file by its name, runs our code on its inputs with the seeded
weights, prints the largest error of every output array against its tolerance, and exits with
status 1 when one is beyond it (or a file cannot be checked).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run from a plain checkout as well

import golden_case
import golden_glue
import golden_ism
import golden_pem
import golden_solver
import torch
from golden_reference import Reference, use_device
from golden_report import Report

from sam6d_ros.models.device import resolve_device
from sam6d_ros.models.exact import exact_float32

Check = Callable[[Reference, str, Report], None]


def check_seeds(ref: Reference, name: str, report: Report) -> None:
    """The weights that everything else relies on: checksum, or mean and spread."""
    tables = {"pem": "pem_state_dict.json", "dinov2": "dinov2_vitl14_state_dict.json"}
    golden = json.loads((ref.folder / f"{name}.json").read_text())
    for network, keys in golden.items():
        table = next((file for prefix, file in tables.items() if network.startswith(prefix)), None)
        if table is None:
            continue
        shapes, worst = ref.seed_weights.load_table(ref.tools / table), 0.0
        for key, (crc, mean, std, *_) in keys.items():
            values = ref.seed_weights.tensor_for(key, *shapes[key])
            if f"{zlib.crc32(values.tobytes()):08x}" != crc:
                worst = max(worst, abs(values.mean() - mean), abs(values.std() - std))
        report.add(name, f"{network} ({len(keys)} keys)", worst, 1e-6)


KINDS: tuple[tuple[str, Check], ...] = (
    (r"seed_weights_check", check_seeds),
    (r"template_views", golden_glue.check_views),
    (r"glue_tables", golden_glue.check_tables),
    (r"ops_points\w*", golden_pem.check_ops_points),
    (r"pem_vit\w*", golden_pem.check_vit),
    (r"pem_geo_embedding\w*", golden_pem.check_geo_embedding),
    (r"pem_pose_solver\w*", golden_solver.check_pose_solver),
    (r"pem_small_coarse\w*", golden_pem.check_small_coarse),
    (r"pem_small_fine\w*", golden_pem.check_small_fine),
    (r"pem_case\w*_glue", golden_glue.check_glue),
    (r"pem_case\w*_templates", golden_case.check_templates),
    (r"pem_case\w*_forward", golden_case.check_forward),
    (r"pem_case\w*_matching_out", golden_case.check_matching),
    (r"ism_case\w*", golden_ism.check_scores),
    (r"ism_crop_resize_pad\w*", golden_ism.check_crops),
    (r"ism_query_preprocess\w*", golden_ism.check_query),
    (r"ism_rle\w*", golden_ism.check_rle),
    (r"dinov2_\w*", golden_ism.check_dinov2),
)
# Inputs of another file; checked with it.
COMPANIONS = {
    r"(pem_case\w*)_matching_in": "_matching_out.npz",
    r"(pem_case\w*_templates)_rgb": ".npz",
}


def kind_of(path: Path) -> Check | None:
    """The check for one golden file, or None for a companion of another file.

    Raises:
        LookupError: the name is of no known kind, or a companion's partner is missing.
    """
    for pattern, partner in COMPANIONS.items():
        found = re.fullmatch(pattern, path.stem)
        if found:
            if not (path.parent / (found[1] + partner)).is_file():
                raise LookupError(f"{found[1] + partner} is missing beside {path.name}")
            return None
    for pattern, check in KINDS:
        if re.fullmatch(pattern, path.stem):
            return check
    raise LookupError(f"no kind of golden file is named like {path.name}")


def golden_files(folder: Path) -> list[Path]:
    """All files of the folder that should be golden data, in order of name."""
    return sorted(p for p in folder.iterdir() if p.suffix in (".npz", ".png", ".json"))


@torch.no_grad()
def check_file(ref: Reference, path: Path, report: Report) -> None:
    """Run the check of one file; what goes wrong becomes a failed row."""
    try:
        check = kind_of(path)
        if check is not None:
            with exact_float32():
                check(ref, path.stem, report)
    except LookupError as error:
        report.add(path.stem, "(recognise)", float("inf"), 0, str(error))
    except Exception as error:
        traceback.print_exc()
        report.add(path.stem, "(run)", float("inf"), 0, f"{type(error).__name__}: {error}")


def main() -> int:
    """Check a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of golden files")
    parser.add_argument("--reference", type=Path, help="folder of seed_weights.py and key tables")
    parser.add_argument("--only", default="", help="check only files whose name contains this")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (the data: 2)")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda[:N] (default: cpu)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    use_device(resolve_device(options.device))
    ref, report = Reference(options.folder.resolve(), options.reference), Report()
    files = [p for p in golden_files(options.folder) if options.only in p.name]
    for path in files:
        check_file(ref, path, report)
    failed = report.failures
    print(f"\n{len(report.rows)} arrays of {len(files)} files, {len(failed)} beyond tolerance")
    for row in failed:
        print(row)
    return 1 if failed or not report.rows else 0


if __name__ == "__main__":
    sys.exit(main())
