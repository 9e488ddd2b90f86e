"""Open3D, imported when it is needed: it takes a second and is an optional extra."""

from __future__ import annotations

from typing import Any

from sam6d_ros.errors import BackendUnavailable, install_extra


def open3d() -> Any:
    """Return the module.

    Raises:
        BackendUnavailable: Open3D is not installed.
    """
    try:
        import open3d as module
    except ImportError as error:
        raise BackendUnavailable(
            f"scanning needs Open3D, which cannot be imported ({error}); {install_extra('scan')}"
        ) from error
    module.utility.set_verbosity_level(module.utility.VerbosityLevel.Error)
    return module
