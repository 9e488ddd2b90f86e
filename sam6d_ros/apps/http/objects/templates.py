"""Choice between template files of a request and rendered views."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.apps.http.limits import Roots
from sam6d_ros.apps.http.schemas.common import FrameBody
from sam6d_ros.apps.http.settings import ServerSettings
from sam6d_ros.cad.template_files import LAYOUT, has_templates
from sam6d_ros.stages.backends import find_backend


@dataclass(frozen=True)
class Templates:
    """Templates of one request.

    Attributes:
        named: folder that the request or the server names, or None.
        folder: the same if its files are used, else None: views are rendered.
        notes: reason if files are not used although a folder is named.
    """

    named: str | None = None
    folder: Path | None = None
    notes: tuple[str, ...] = ()


def choose_templates(
    body: FrameBody, settings: ServerSettings, roots: Roots, backend: str, has_file: bool
) -> Templates:
    """Decide by folder, backend and object; the server's own folder goes with its own CAD file.

    Args:
        backend: name of the backend of the engine.
        has_file: whether the object comes from a CAD file, not from the registered objects.
        body: the request.
        settings: of the server.
        roots: folders that clients may name.

    Returns:
        The folder, or why templates are not used.

    Raises:
        NotAllowed, InvalidInput: the folder is not allowed or does not exist.
    """
    is_own = body.cad_path is None and body.object is None
    given = body.template_dir or (settings.template_dir if is_own else "")
    if not given:
        return Templates()
    folder = roots.readable(given, "template_dir")
    if not (has_file or body.template_dir):
        return Templates(str(folder))
    if not has_file:
        text = "template_dir goes with cad_path; registered objects state templates in their entry"
    elif not reads_templates(backend):
        text = f"the {backend} backend renders its own views; template_dir is not used"
    elif not has_templates(folder):
        text = f"template_dir has no templates: views are rendered ({LAYOUT})"
    else:
        return Templates(str(folder), folder)
    return Templates(str(folder), None, (text,))


def reads_templates(backend: str) -> bool:
    """Return whether a backend uses template files."""
    return bool(backend) and find_backend(backend).reads_templates
