"""The benchmark for a bare GPU machine runs, here on the CPU, and judges golden arrays."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks.gpu_report import bars, unplanned_wait  # noqa: E402
from sam6d_ros.models import transfer  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
GOLDEN = REPO.parent / "shared" / "sam6d" / "public" / "ops_points.npz"

ABSENT = ("trimesh", "embreex", "yaml", "rich", "PIL", "segment_anything", "safetensors", "triton")


def run(tmp_path: Path, *words: str) -> tuple[int, dict]:
    out = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--threads", "1"]
    command += ["--out", str(out), *words]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert out.is_file(), done.stderr
    return done.returncode, json.loads(out.read_text())


def test_every_part_runs_on_the_cpu(tmp_path: Path) -> None:
    status, result = run(tmp_path, "--counts", "1", "2")
    assert status == 0, result["skipped"]
    machine = result["machine"]
    assert machine["card"] is None
    assert machine["networks"] == "small"
    assert {"sam encoder", "proposals", "poses, 1", "poses, 2"} < set(result["stages"])
    assert result["end_to_end"]["quality, 2"]["median_ms"] > 0
    assert result["end_to_end"]["fast, 1"]["median_ms"] > 0
    assert result["ratio"]["1"]["original_ms"] > 0
    assert machine["tf32_used"] == {"convolutions": False, "products": False}
    assert "over_limit" not in machine
    assert set(result["skipped"]) == {"golden", "launches", "memory", "times_faster"}


@pytest.mark.skipif(not GOLDEN.is_file(), reason="golden vectors are not beside the repository")
def test_the_status_says_whether_golden_arrays_hold(tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    folder.mkdir()
    shutil.copy(GOLDEN, folder)
    words = ("--golden", str(folder), "--parts", "golden")
    status, result = run(tmp_path, *words)
    assert (status, result["golden"]["beyond_tolerance"]) == (0, [])
    with np.load(GOLDEN) as file:
        arrays = dict(file)
    arrays["fps_a_idx"][0, 3] += 1
    np.savez(folder / GOLDEN.name, **arrays)
    status, result = run(tmp_path, *words)
    assert status == 1
    assert len(result["golden"]["beyond_tolerance"]) == 1


def test_a_bare_machine_runs_it_without_sam(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {ABSENT}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import benchmarks.gpu, check\n"
        "sys.argv[1:] = sys.argv[1].split()\n"
        "sys.exit(benchmarks.gpu.main())"
    )
    words = f"--device cpu --threads 1 --counts 1 --parts end_to_end --out {tmp_path}/gpu.json"
    subprocess.run([sys.executable, "-c", code, words], cwd=REPO, check=True, timeout=300)
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert "sam" in result["skipped"]
    assert result["end_to_end"]["quality, 1"]["median_ms"] > 0


def test_bars_are_those_that_were_measured() -> None:
    """Memory is what is reserved: that of graphs is allocated only while they are recorded."""
    out = {
        "end_to_end": {
            "start": {"first_frame_s": 0.4},
            "quality, 1": {"median_ms": 151.0},
            "fast, 1": {"median_ms": 60.0},
        },
        "ratio": {"1": {"times_faster": 6.5}, "16": {}},
        "memory": {
            "fast, 1": {"peak_allocated_mb": 1000.0, "peak_reserved_mb": 3000.0},
            "fast, 16": {"peak_allocated_mb": 1000.0, "peak_reserved_mb": 5e3},
        },
    }
    assert {name: bar["holds"] for name, bar in bars(out).items()} == {
        "first frame, s": True,
        "ms of 1 detections": False,
        "times faster, 1": True,
        "peak GB, fast": False,
    }


def test_constants_of_work_are_the_counted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the truth was stated once: multiply-adds taken for operations.

    Attention counts in the plain form; that of a GPU multiplies padded channels too, 1.40 TFLOP.
    """
    from benchmarks import gpu, gpu_memory, networks
    from sam6d_ros.models import sam_attention, sam_network
    from sam6d_ros.models.dinov2 import DinoV2
    from sam6d_ros.models.pem import PoseEstimationModel

    def count(run: object) -> float:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run()  # type: ignore[operator]
        return counter.get_total_flops()

    monkeypatch.setattr(sam_attention, "attend_folded", sam_attention.attend)
    found = {}
    with torch.device("meta"):
        for variant, shape in sam_network.SHAPES.items():
            sam = sam_network.build_sam(shape)
            image = torch.empty(1, 3, 1024, 1024)
            found[f"sam {variant}"] = count(lambda sam=sam, x=image: sam.image_encoder(x))
        image = torch.empty(1, 256, 64, 64)
        given = image, image, torch.empty(1, 2, 256), image, True
        found["sam prompt"] = count(lambda: sam.mask_decoder(*given))
        found["dinov2 crop"] = count(lambda: DinoV2()(torch.empty(1, 3, 224, 224)))
        pem = PoseEstimationModel().requires_grad_(False)
    with gpu_memory.as_gpu():
        code = gpu_memory.object_code(pem)
        found["pem detection"] = count(lambda: gpu_memory.run_poses(pem, code, 1))
    assert found == pytest.approx(gpu.FLOP, rel=0.03)
    assert networks.FLOP["dinov2"] == gpu.FLOP["dinov2 crop"]
    assert {k: v for k, v in networks.FLOP.items() if "sam" in k} == {
        k: v for k, v in gpu.FLOP.items() if "vit" in k
    }


def test_an_unplanned_wait_is_named_and_the_mode_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for CUDA's mode in which a wait is an error."""
    modes: list[object] = ["default"]
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def read_a_number() -> None:
        assert modes[-1] == "error"
        raise RuntimeError("called a synchronizing CUDA operation")

    def refuse() -> None:
        if modes[-1] == "error":
            raise RuntimeError("called a synchronizing CUDA operation")

    stream = SimpleNamespace(synchronize=refuse)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    assert unplanned_wait(lambda: transfer.wait(torch.device("cuda"))) == "none"
    assert "synchronizing CUDA operation" in unplanned_wait(read_a_number)
    assert modes[-1] == "default"
