"""Completion of `sam6d` in bash, by the script that the command prints."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from sam6d_ros.apps.cli.main import main

pytest.importorskip("shtab")


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "completed"),
    [(["sam6d", "est"], "estimate"), (["sam6d", "estimate", "--cad-u"], "--cad-unit")],
)
def test_bash_completes_commands_and_options(capsys, words, completed):
    assert main(["completion", "bash"]) == 0
    line = " ".join(words)
    script = (
        f"{capsys.readouterr().out}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
        f"COMP_LINE='{line}'; COMP_POINT={len(line)}\n"
        "$(complete -p sam6d | sed 's/.*-F \\([^ ]*\\).*/\\1/') sam6d; echo \"${COMPREPLY[@]}\""
    )
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert completed in run.stdout.split(), run.stderr


def test_without_shtab_the_remedy_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "zsh"]) == 4
    assert "pip install -e '.[completion]'" in capsys.readouterr().err
