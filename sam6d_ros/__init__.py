"""6D object poses from RGB-D frames and CAD models.

    from sam6d_ros import draw, fuse, load_frame, load_objects, open_engine
    engine = open_engine(load_objects("objects.yaml"))
    frame = load_frame("rgb.png", "depth.png", "camera.json")
    estimates = engine.run(frame)
    picture = draw(frame, estimates, engine.objects)

These names are imported at their first use: ``import sam6d_ros`` alone loads no library.

The generated message module `sam6d_ros.msg` is installed in another folder than these sources
(an install space, or a virtual environment). Extending the search path lets one package name
cover both, so that a source folder on `sys.path` does not hide the messages.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam6d_ros.apps.api import draw, fuse, load_frame, load_objects, open_engine, to_dict

__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"

__all__ = ["draw", "fuse", "load_frame", "load_objects", "open_engine", "to_dict"]


def __getattr__(name: str) -> Any:
    """Return a name of the Python interface; it is imported now."""
    if name in __all__:
        return getattr(import_module("sam6d_ros.apps.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
