"""File of the registered models, from which they are restored after a restart."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sam6d_ros.errors import InvalidConfig
from sam6d_ros.runtime.damaged import put_aside
from sam6d_ros.runtime.model_server.spec import ModelSpec

VERSION = 1


class ModelsFile:
    """JSON file of model settings; written whole or not at all.

    Args:
        path: of the file; its folder is made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[ModelSpec]:
        """Return the models of the file; none if there is no file.

        A file that cannot be used is kept beside under another name, and logged.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            put_aside(self.path, str(error))
            return []
        try:
            return _parse(text)
        except (ValueError, RecursionError, InvalidConfig) as error:
            put_aside(self.path, str(error))
            return []

    def write(self, specs: Sequence[ModelSpec]) -> None:
        """Replace the models of the file.

        Args:
            specs: the models.

        Raises:
            OSError: the file cannot be written; the one before stays.
        """
        text = json.dumps({"version": VERSION, "models": [spec.to_dict() for spec in specs]})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self.path.parent, suffix=".part", delete=False
        ) as file:
            draft = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                draft.unlink()
                raise
        draft.replace(self.path)


def _parse(text: str) -> list[ModelSpec]:
    content = json.loads(text)
    models = content.get("models") if isinstance(content, dict) else None
    if not isinstance(models, list) or content.get("version") != VERSION:
        raise InvalidConfig(f"expected version {VERSION} and a list of models")
    specs = [ModelSpec.from_dict(values) for values in models]
    if len({spec.name for spec in specs}) < len(specs):
        raise InvalidConfig("a model stands in it twice")
    return specs
