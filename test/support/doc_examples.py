"""Examples of a documentation page: commands, and answers in which `…` stands for anything."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.packages import skip_without

ANY = "…"


def examples_of(page: str) -> list[tuple[str, str]]:
    """Return the commands that stand with an answer below them."""
    return re.findall(r"```sh\n(curl[^\n]*)\n```\n\n```json\n(.*?)\n```", page, re.DOTALL)


def run_examples(
    page: str, folder: Path, environment: Mapping[str, str], free: Collection[str]
) -> None:
    """Run the commands in the order of the page; compare the answers with those shown.

    Args:
        folder: in which they run.
        environment: their variables.
        free: keys whose values differ from run to run.
    """
    skip_without(shutil.which("curl"), "curl")
    for command, shown in examples_of(page):
        run = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**environment, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, f"{command}: {run.stderr}"
        compare(json.loads(shown), json.loads(run.stdout), command, free)


def compare(shown: Any, given: Any, where: str, free: Collection[str] = ()) -> None:
    """Fail unless the shown value is what was given, but for what `…` stands for."""
    if shown == ANY:
        return
    if isinstance(shown, dict):
        assert isinstance(given, dict), where
        if ANY not in shown:
            assert shown.keys() == given.keys(), where
        for key, value in shown.items():
            if key == ANY:
                continue
            if key in free:
                assert type(value) is type(given[key]), f"{where}.{key}"
            else:
                compare(value, given[key], f"{where}.{key}", free)
    elif isinstance(shown, list):
        assert isinstance(given, list), where
        if shown == [ANY]:
            return
        assert len(shown) == len(given), where
        for index, (one, other) in enumerate(zip(shown, given, strict=True)):
            compare(one, other, f"{where}[{index}]", free)
    elif isinstance(shown, float):
        assert given == pytest.approx(shown, abs=max(0.05, 0.05 * abs(shown))), where
    elif isinstance(shown, str) and shown.startswith(ANY):
        assert given.endswith(shown.removeprefix(ANY)), where
    elif isinstance(shown, int) and not isinstance(shown, bool):
        assert abs(given - shown) <= 3, where  # pixels of a box
    else:
        assert given == shown, where
