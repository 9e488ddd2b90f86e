"""Opening of FFmpeg containers by PyAV; the only module that imports it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any

from sam6d_ros.errors import BackendUnavailable, install_extra
from sam6d_ros.runtime.streams.source import ReadSettings

log = logging.getLogger(__name__)

# Of a device that cannot decode; PyAV falls back to the CPU by itself for some devices only.
_DEVICE_ERRNOS = (errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOMEM)
_DEVICE_ERRORS = ("ExternalError", "UnknownError")


def open_container(
    target: str,
    settings: ReadSettings,
    options: Mapping[str, str],
    container_format: str | None = None,
) -> Any:
    """Open a URL, file or device with the settings' time limits and hardware.

    Args:
        target: never logged: it may hold credentials.
        settings: of reading.
        options: of FFmpeg.
        container_format: name of the format; None to detect it.

    Returns:
        The container of PyAV.

    Raises:
        BackendUnavailable: PyAV is missing.
        Exception: of FFmpeg.
    """
    av = _import_av()
    timeout = (settings.open_s, settings.read_s)
    kwargs = {"format": container_format, "options": dict(options), "timeout": timeout}
    if not settings.hardware:
        return av.open(target, **kwargs)
    from av.codec.hwaccel import HWAccel

    try:
        device = HWAccel(settings.hardware, allow_software_fallback=True)
        return av.open(target, **kwargs, hwaccel=device)
    except av.error.FFmpegError as error:
        named = type(error).__name__ in _DEVICE_ERRORS
        if not named and error.errno not in _DEVICE_ERRNOS:
            raise
        log.warning("'%s' cannot decode here; the CPU does (hardware: '')", settings.hardware)
        return av.open(target, **kwargs)


def _import_av() -> Any:
    """Return the module.

    Raises:
        BackendUnavailable: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise BackendUnavailable(
            f"video streams need PyAV, which is missing; {install_extra('streams')}"
        ) from error
    return av
