"""Addresses of video sources: forms, parsing, and the form without credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote, urlsplit

from sam6d_ros.errors import InvalidInput

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
EXPECTED = (
    "expected rtsp://, rtsps://, http:// or https:// with a host, an absolute path of a video "
    "file, /dev/videoN, frames:FOLDER, or bag:PATH"
)
MAX_CHARACTERS = 2048
HIDDEN = "***"

_DEVICE = re.compile(r"/dev/video\d{1,3}", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_SCHEME_MARK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)
# Cameras that take the credentials in the path: rtsp://host/user=admin_password=x_channel=1.sdp
_PATH_SECRET = re.compile(r"(?i)(user|passw|pwd|token|secret|key|auth)[^/]*=[^/]*")
_PATH_CREDENTIALS = re.compile(r"[^/]*:.*@")
# Parameters that are shown, if their value is short and plain.
_SHOWN = ("channel", "subtype", "stream", "streamtype", "resolution", "camera", "fps", "profile")
_PLAIN = re.compile(r"[A-Za-z0-9.x-]{0,12}", re.ASCII)
# Characters of RFC 3986 that stay as they are in a path and in a query.
_IN_PATH, _IN_QUERY = "/:!$&'()*+,;=~%", "/?:!$&'()*+,;=~%"


class Kind(Enum):
    """Kind of a video source."""

    NETWORK = "network"
    FILE = "file"
    DEVICE = "device"
    FRAMES = "frames"
    BAG = "bag"


WITH_DEPTH = (Kind.FRAMES, Kind.BAG)  # named by their kind and a path


@dataclass(frozen=True, repr=False)
class Address:
    """Parsed address of a video source.

    Attributes:
        kind: of the source.
        path: of a file, device or folder; of a URL with its query, percent-encoded.
        scheme, host, port: of a URL, else empty.
        credentials: of a URL: ``user:password``, percent-encoded, or empty.
    """

    kind: Kind
    path: str
    scheme: str = ""
    host: str = ""
    port: int = 0
    credentials: str = ""

    def __repr__(self) -> str:
        return f"Address({self})"

    def __str__(self) -> str:
        """Return the address without credentials."""
        if self.kind is Kind.NETWORK:
            return redacted(self.url(self.host))
        path = _PATH_CREDENTIALS.sub(f"{HIDDEN}@", self.path)  # a URL without its scheme
        return f"{self.kind.value}:{path}" if self.kind in WITH_DEPTH else path

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return f"{_bracketed(self.host)}:{self.port}"

    def url(self, host: str) -> str:
        """Return the URL with another host, credentials included; never log or show it.

        Args:
            host: name or IP address.
        """
        userinfo = f"{self.credentials}@" if self.credentials else ""
        return f"{self.scheme}://{userinfo}{_bracketed(host)}:{self.port}{self.path}"


def redacted(url: str) -> str:
    """Return an address without credentials, whatever its form.

    Everything between ``//`` and the last ``@`` is hidden, because unencoded passwords may hold
    any character. Values of a query are hidden but for a few plain ones such as ``channel``.

    Args:
        url: the address.
    """
    text = "".join(c if c.isprintable() else "?" for c in url)
    head, mark, rest = text.rpartition("@")
    if mark:
        scheme = _SCHEME_MARK.match(head)
        text = f"{scheme.group() if scheme else '//'}{HIDDEN}@{rest}"
    path, mark, query = text[:MAX_CHARACTERS].partition("?")
    path = _PATH_SECRET.sub(HIDDEN, path)
    return f"{path}?{'&'.join(map(_shown, re.split('[&;]', query)))}" if mark else path


def parse_address(text: str) -> Address:
    """Parse an address; nothing is looked up.

    Args:
        text: the address.

    Returns:
        The address.

    Raises:
        InvalidInput: it has no known form. The message shows no credentials.
    """
    if not text or len(text) > MAX_CHARACTERS or text != text.strip() or not text.isprintable():
        raise InvalidInput(
            f"the address has {len(text)} characters or unprintable ones; expected 1 to "
            f"{MAX_CHARACTERS} printable characters without spaces around them"
        )
    for kind in WITH_DEPTH:
        if text.startswith(f"{kind.value}:"):
            return Address(kind, _absolute(text.removeprefix(f"{kind.value}:"), text))
    scheme = _SCHEME.match(text)
    if scheme is None:
        path = _absolute(text, text)
        return Address(Kind.DEVICE if _DEVICE.fullmatch(path) else Kind.FILE, path)
    if scheme.group(1).lower() in DEFAULT_PORTS:
        return _parse_url(text)
    remedy = "; give the plain path instead" if scheme.group(1).lower() == "file" else ""
    raise InvalidInput(f"{redacted(text)!r} has the scheme {scheme.group(1)!r}{remedy}; {EXPECTED}")


def _parse_url(text: str) -> Address:
    shown = redacted(text)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its text may hold a part of the password
        raise InvalidInput(
            f"{shown!r} has no valid host or port; {EXPECTED}. Write special characters of a "
            "password percent-encoded (/ as %2F, @ as %40)"
        ) from None
    if not _HOST.fullmatch(host) or port == 0:
        raise InvalidInput(f"{shown!r} has no valid host or port; {EXPECTED}")
    if HIDDEN in parts.netloc:
        raise InvalidInput(f"the credentials of {shown!r} are hidden; give user name and password")
    if "@" in parts.path + parts.query + parts.fragment:
        raise InvalidInput(
            f"{shown!r} has an '@' behind the host; write special characters of a password "
            "percent-encoded (/ as %2F, @ as %40)"
        )
    path = quote(parts.path, safe=_IN_PATH) or "/"
    query = f"?{quote(parts.query, safe=_IN_QUERY)}" if parts.query else ""
    scheme = parts.scheme.lower()
    return Address(
        Kind.NETWORK,
        path + query,
        scheme,
        host,
        port or DEFAULT_PORTS[scheme],
        _credentials(parts.username, parts.password),
    )


def _credentials(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    encoded = quote(unquote(user), safe="")
    return encoded if password is None else f"{encoded}:{quote(unquote(password), safe='')}"


def _absolute(path: str, text: str) -> str:
    if not path.startswith("/") or path.startswith("//"):
        raise InvalidInput(f"{redacted(text)!r} is no address of a video source; {EXPECTED}")
    return path


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _shown(parameter: str) -> str:
    name, mark, value = parameter.partition("=")
    if not mark:
        return HIDDEN if parameter else ""
    plain = name.lower() in _SHOWN and _PLAIN.fullmatch(value)
    return f"{name}={value if plain else HIDDEN}"
