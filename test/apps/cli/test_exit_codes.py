"""Exit codes of a command by the error table; a defect shows where it happened."""

from __future__ import annotations

import pytest

from sam6d_ros.apps.cli.commands import onboard
from sam6d_ros.apps.cli.main import main
from sam6d_ros.errors import CheckpointError, InvalidMesh, InvariantError, NotReady


@pytest.mark.parametrize(
    ("error", "code", "traceback"),
    [
        (InvalidMesh("mug.ply has no face"), 2, False),
        (CheckpointError("pem.pth is truncated"), 4, False),
        (NotReady("the engine is loading"), 4, False),
        (InvariantError("a score is nan"), 1, True),
        (ZeroDivisionError("by zero"), 1, True),
        (KeyboardInterrupt(), 130, False),
    ],
)
def test_an_error_gives_its_exit_code_and_one_line(monkeypatch, capsys, error, code, traceback):
    def run(args):
        raise error

    monkeypatch.setattr(onboard, "run", run)
    assert main(["onboard", "mug.ply"]) == code
    shown = capsys.readouterr().err
    assert ("Traceback" in shown) is traceback
    assert shown.splitlines()[-1].startswith("sam6d: ")
    assert str(error) in shown
