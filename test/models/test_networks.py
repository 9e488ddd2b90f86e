"""Loading the backend from weights files: three tiny networks under the names of the released."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.errors import CheckpointError  # noqa: E402
from sam6d_ros.models import weights  # noqa: E402
from sam6d_ros.models.dinov2 import DinoV2  # noqa: E402
from sam6d_ros.models.pem import PoseEstimationModel  # noqa: E402
from sam6d_ros.models.sam_network import SamShape  # noqa: E402
from sam6d_ros.runtime.build import EngineSpec, build_engine  # noqa: E402
from sam6d_ros.runtime.objects import ObjectSet  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.library import BuildContext  # noqa: E402
from sam6d_ros.stages.sam6d import networks  # noqa: E402
from sam6d_ros.stages.sam6d.backend import BACKEND  # noqa: E402
from sam6d_ros.stages.sam6d.settings import Sam6dConfig  # noqa: E402

MODEL = box_model()
OPTIONS = "sam_variant=vit_b points_per_side=2 min_predicted_iou=0 min_stability=0 views=2"


@pytest.fixture
def folder(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of the tiny networks, with known checksums, where the released ones would be."""
    roles = {"sam": tiny.sam.sam, "dinov2": tiny.dino.vit, "pem": tiny.pem}
    files = []
    for file in weights.required("vit_b"):
        path = tmp_path / file.name
        torch.save({"model": roles[file.role].state_dict()}, path)
        sha = weights.hash_file(path)
        size = path.stat().st_size
        files.append(weights.WeightsFile(file.role, file.variant, file.name, "none", sha, size))
    monkeypatch.setattr(weights, "FILES", tuple(files))
    shape = SamShape(width=32, depth=2, heads=2, global_blocks=(1,), image_size=128)
    monkeypatch.setitem(networks.SHAPES, "vit_b", shape)
    monkeypatch.setattr(networks, "DinoV2", lambda: DinoV2(tiny.dino.vit.config))
    monkeypatch.setattr(
        networks, "PoseEstimationModel", lambda: PoseEstimationModel(tiny.pem.config)
    )
    return tmp_path


def config(folder: Path, options: str = "") -> PipelineConfig:
    words = f"{OPTIONS} {options}"
    return PipelineConfig("sam6d", words, device="cpu", weights_dir=folder)


def options(more: str = "") -> Sam6dConfig:
    return Sam6dConfig.parse(f"{OPTIONS} {more}")


def test_the_backend_runs_from_files(folder: Path) -> None:
    objects = ObjectSet({MODEL.name: MODEL})
    engine = build_engine(EngineSpec(config(folder), objects=objects))
    assert (engine.backend, engine.device) == ("sam6d", "cpu")
    poses = engine.run(warm_up_input(MODEL)[1])
    assert len(poses) or poses.reason
    checked = {path.name for path in folder.glob("*.checked")}
    assert checked == {f"{file.name}.checked" for file in weights.FILES}


def test_the_views_of_the_final_icp_are_cached(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    settings = config(folder, "final_icp=true")
    BACKEND.pose(BuildContext(settings, cache)).refiner.prepare(MODEL)
    assert list(cache.glob("views-*-warm_up_box-*"))


@pytest.mark.parametrize("role", ["sam", "dinov2", "pem"])
def test_one_wrong_byte_stops_the_build(folder: Path, role: str) -> None:
    path = next(folder / file.name for file in weights.FILES if file.role == role)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # a weight: torch would load it without a word
    path.write_bytes(data)
    stages = BACKEND.pose if role == "pem" else BACKEND.segmentation
    with pytest.raises(CheckpointError, match=rf"{path.name} .* sha256 .*weights fetch"):
        stages(BuildContext(config(folder)))


def test_renamed_files_are_recognised(folder: Path) -> None:
    """One network's file under another's name, as safetensors, where no checksum is known."""
    from safetensors.torch import load_file, save_file

    (folder / "sam-6d-pem-base.pth").unlink()
    dino = torch.load(folder / "dinov2_vitl14_pretrain.pth", weights_only=True)["model"]
    save_file(dino, folder / "sam-6d-pem-base.safetensors")
    assert load_file(folder / "sam-6d-pem-base.safetensors").keys() == dino.keys()
    with pytest.raises(CheckpointError, match=r"sam-6d-pem-base\.safetensors is not a Pose.*rena"):
        BACKEND.pose(BuildContext(config(folder)))


def test_compiled_encoders_compute_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = networks.Networks(folder, options(), "cpu")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # captures only
    compiled = networks.Networks(folder, options("compile=true"), "cpu")
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    frame = warm_up_input(MODEL)[1]
    with torch.inference_mode():
        assert torch.allclose(plain.dino(images)[1], compiled.dino(images)[1], atol=1e-5)
        maps = [net.pem.feature_extraction.rgb_net(images) for net in (plain, compiled)]
    assert torch.allclose(*maps, atol=1e-5)
    masks = [net.sam.segment(frame.rgb).masks for net in (plain, compiled)]
    assert (masks[0] == masks[1]).all()
    assert all(block._compiled_call_impl for block in compiled.dino.vit.blocks)
