"""Errors of video sources → reason with the remedy, and the pause before the next attempt."""

from __future__ import annotations

import errno
import math
from dataclasses import dataclass

from sam6d_ros.errors import Sam6dError
from sam6d_ros.runtime.streams.address import Address, Kind

# Cameras lock an account after some wrong passwords.
REFUSED_PAUSE_S = 60.0
# A rule or a missing package does not change by itself.
RULE_PAUSE_S = 30.0


@dataclass(frozen=True)
class Failure:
    """Reason why a source gives no pictures.

    Attributes:
        reason: with the remedy, without credentials.
        min_pause_s: seconds until another attempt is sensible.
    """

    reason: str
    min_pause_s: float = 0.0


# By class name, so that PyAV is imported only by the module that decodes.
_BY_NAME = {
    "HTTPUnauthorizedError": "{place} refuses the user name or password (401); set them in the "
    "address: {scheme}://USER:PASSWORD@{place}/…",
    "HTTPForbiddenError": "{place} forbids this stream (403); give the camera's user the right to "
    "watch it, or check the user name and password",
    "HTTPNotFoundError": "{place} has no stream of this path (404); the camera's manual or its "
    "ONVIF page names the path",
    "HTTPServerError": "{place} answers with an error of its own (5xx); look at the camera's page, "
    "or restart the camera",
    "DecoderNotFoundError": "the video codec of {address} is not known here; set the camera to "
    "H.264, H.265 or MJPEG",
    "ProtocolNotFoundError": "{address} needs a protocol that is not allowed; let the camera send "
    "RTSP over TCP",
}
_TIMEOUTS = ("ExitError", "TimeoutError")
_BY_ERRNO = {
    errno.ECONNREFUSED: "nothing listens at {place}; check host and port, and whether the camera "
    "is on",
    errno.EHOSTUNREACH: "there is no route to {place}; check the network of server and camera",
    errno.ENETUNREACH: "there is no route to {place}; check the network of server and camera",
    errno.ENOENT: "{address} does not exist; check the path, and whether the camera is plugged in",
    errno.EACCES: "{address} may not be read; give the server's user the right (cameras: group "
    "video)",
    errno.EBUSY: "{address} is in use by another program; close that program",
    errno.EIO: "{address} cannot be read; if it redirects to another address, give that one",
    errno.ENODEV: "{address} is no camera; choose another /dev/videoN",
}


def explain(
    error: BaseException, address: Address, opened: bool, waited_s: float, open_s: float = math.inf
) -> Failure:
    """Return the reason for an error of FFmpeg or of our own checks.

    Args:
        error: as raised; its text may hold credentials and is not used unless it is ours.
        address: of the source.
        opened: whether the source had been opened.
        waited_s: seconds since the last sign of life.
        open_s: time limit of opening. FFmpeg may raise the error of invalid data after it.
    """
    if isinstance(error, Sam6dError):
        return Failure(str(error), RULE_PAUSE_S)
    names = [kind.__name__ for kind in type(error).__mro__]
    values = {"place": address.place, "address": str(address), "scheme": address.scheme}
    for name, text in _BY_NAME.items():
        if name in names:
            pause_s = REFUSED_PAUSE_S if name.startswith(("HTTPUn", "HTTPF")) else 0.0
            return Failure(text.format_map(values), pause_s)
    number = getattr(error, "errno", None)
    if number in _BY_ERRNO and not opened:
        return Failure(_BY_ERRNO[number].format_map(values))
    late = not opened and waited_s >= 0.9 * open_s and address.kind is Kind.NETWORK
    if late or any(name in names for name in _TIMEOUTS):
        return Failure(_silence(address, opened, waited_s))
    return Failure(_other(error, address, opened))


def ended(address: Address) -> Failure:
    """Return the reason when a live source just stops sending.

    Args:
        address: of the source.
    """
    return Failure(
        f"{address} closed the connection; it may have restarted, or allow fewer viewers at once"
    )


def _silence(address: Address, opened: bool, waited_s: float) -> str:
    if opened:
        return (
            f"{address} sent no picture for {waited_s:.0f} s; check the camera's power and network"
        )
    return f"{address.place} does not answer within {waited_s:.1f} s; check host, port and firewall"


def _other(error: BaseException, address: Address, opened: bool) -> str:
    """Return the reason for other errors; shows FFmpeg's message without its file name."""
    text = getattr(error, "strerror", None) or type(error).__name__
    if opened:
        return f"{address} broke off ({text}); check the camera's network"
    return f"{address} gives no video that can be read ({text}); check the address and the codec"
