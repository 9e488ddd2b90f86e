"""The golden vectors of the original, file by file (the whole folder: ``check.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

import check  # noqa: E402
from golden_reference import DEFAULT_REFERENCE, Reference  # noqa: E402
from golden_report import Report, max_error  # noqa: E402

from sam6d_ros.models.device import encoder_dtype, encoding  # noqa: E402
from sam6d_ros.models.image_features import normalise  # noqa: E402
from sam6d_ros.models.matching import FineBlock  # noqa: E402

pytestmark = pytest.mark.sam6d
FOLDER = DEFAULT_REFERENCE / "public"
FILES = check.golden_files(FOLDER) if FOLDER.is_dir() else []


@pytest.fixture(scope="module")
def ref() -> Reference:
    torch.set_num_threads(1)  # threads that outnumber free cores wait for one another
    return Reference(FOLDER)


@pytest.mark.skipif(not FILES, reason=f"golden vectors are not at {FOLDER}")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_networks_agree_with_the_original(ref: Reference, path: Path) -> None:
    report = Report(loud=False)
    check.check_file(ref, path, report)
    assert not report.failures, "\n".join(map(str, report.failures))
    companion = check.kind_of(path) is None
    assert report.rows or companion, "nothing was compared"


@pytest.mark.skipif(not FILES, reason=f"golden vectors are not at {FOLDER}")
def test_a_corrected_slip_is_noticed(ref: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse rows taken as one would expect them, not as the weights were trained."""
    kept = FineBlock._sparse
    monkeypatch.setattr(FineBlock, "_sparse", lambda _, dense, index: kept(dense, index + 1))
    report = Report(loud=False)
    check.check_file(ref, FOLDER / "pem_small_fine.npz", report)
    assert any(row.array == "atten" and row.error > 1 for row in report.failures)


@pytest.mark.skipif(not FILES, reason=f"golden vectors are not at {FOLDER}")
@pytest.mark.parametrize("name", ["pem_geo_embedding.npz", "pem_small_coarse.npz"])
def test_golden_arrays_hold_where_the_process_allows_less_than_float32(
    ref: Reference, name: str
) -> None:
    """On a CPU with bf16 products these arrays fail without ``exact_float32``."""
    torch.set_float32_matmul_precision("medium")
    try:
        report = Report(loud=False)
        check.check_file(ref, FOLDER / name, report)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert not report.failures, "\n".join(map(str, report.failures))


@pytest.mark.skipif(not FILES, reason=f"golden vectors are not at {FOLDER}")
@pytest.mark.parametrize(("precision", "relative"), [("bf16", 0.02), ("fp16", 0.004)])
def test_reduced_precision_stays_within_its_bound(
    ref: Reference, precision: str, relative: float
) -> None:
    """The encoders at full size on one crop of the original's; docs/sam6d.md states the bounds."""
    crop = torch.from_numpy(ref.arrays("pem_vit")["rgb_u8"][:1])
    cpu = torch.device("cpu")
    for encoder in (lambda x: ref.dino(x)[1], ref.pem.feature_extraction.rgb_net):
        with encoding(None, cpu):
            full = encoder(normalise(crop)).flatten(2)
        with encoding(encoder_dtype(precision, cpu), cpu):
            reduced = encoder(normalise(crop)).flatten(2)
        assert reduced.dtype == torch.float32
        assert (reduced - full).norm() < relative * full.norm()


@pytest.mark.parametrize(
    ("ours", "golden", "error"),
    [([1.0, 2.5], [1.0, 2.0], 0.5), ([1, 2, 3], [1, 2], float("inf")), ([], [], 0.0)],
)
def test_largest_error(ours: list[float], golden: list[float], error: float) -> None:
    assert max_error(ours, golden) == error


def test_not_a_number_fails() -> None:
    report = Report(loud=False)
    report.compare("file", "array", [float("nan")], [0.0], 1.0)
    assert report.failures


def test_unknown_files_fail(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="named like"):
        check.kind_of(tmp_path / "unheard_of.npz")
    with pytest.raises(LookupError, match="missing"):
        check.kind_of(tmp_path / "pem_caseZ_matching_in.npz")


def test_kinds_are_told_apart() -> None:
    kinds = {
        "pem_caseC_forward.npz": "check_forward",
        "pem_caseD_glue.npz": "check_glue",
        "pem_caseC_templates.npz": "check_templates",
        "pem_caseE_matching_out.npz": "check_matching",
        "ism_case2.npz": "check_scores",
        "dinov2_vitl14.npz": "check_dinov2",
    }
    for name, expected in kinds.items():
        found = check.kind_of(Path(name))
        assert found is not None
        assert found.__name__ == expected
