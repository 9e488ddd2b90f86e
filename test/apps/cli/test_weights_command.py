"""`sam6d weights`: exit codes and output."""

from __future__ import annotations

import pytest

from sam6d_ros.apps.cli.main import main
from sam6d_ros.models import weights

CONTENT = b"some weights"


@pytest.fixture
def sam6d(capsys):
    """Run the command; gives exit code, stdout, stderr."""

    def run(*arguments):
        code = main([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def small_files(monkeypatch):
    """Three released files of a few bytes each."""
    sha = weights.hash_bytes(CONTENT)
    files = [
        weights.WeightsFile(role, variant, f"{role}.pth", f"http://127.0.0.1:9/{role}", sha)
        for role, variant in (("sam", "vit_h"), ("dinov2", "vit_l"), ("pem", "base"))
    ]
    monkeypatch.setattr(weights, "FILES", tuple(files))
    return files


def test_list_names_what_is_missing(sam6d, small_files, tmp_path):
    (tmp_path / "sam.pth").write_bytes(CONTENT)
    code, out, _ = sam6d("weights", "list", "--dir", tmp_path)
    assert code == 0
    assert out.count("missing") == 2
    assert "127.0.0.1:9/pem" in out


def test_verify_tells_sound_from_damaged(sam6d, small_files, tmp_path):
    for file in small_files:
        (tmp_path / file.name).write_bytes(CONTENT)
    assert sam6d("weights", "verify", "--dir", tmp_path)[0] == 0
    (tmp_path / "pem.pth").write_bytes(b"other")
    code, out, _ = sam6d("weights", "verify", "--dir", tmp_path)
    assert code == 4
    assert "sha256" in out


def test_fetch_offline_says_what_to_do(sam6d, small_files, tmp_path):
    code, _, err = sam6d("weights", "fetch", "--offline", "--dir", tmp_path)
    assert code == 4
    assert "copy it there from" in err
    for file in small_files:
        (tmp_path / file.name).write_bytes(CONTENT)
    assert sam6d("weights", "fetch", "--offline", "--dir", tmp_path)[0] == 0
