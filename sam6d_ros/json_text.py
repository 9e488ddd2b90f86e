"""JSON that people read too."""

from __future__ import annotations

import json
import re
from typing import Any

NUMBER_ROWS = re.compile(r"\[[-+\d.eE,\s]+\]")


def json_text(values: Any) -> str:
    """JSON for people too: indented, but with rows of plain numbers on one line."""
    text = json.dumps(values, indent=1)
    return NUMBER_ROWS.sub(lambda row: re.sub(r"\s+", " ", row[0]), text) + "\n"
