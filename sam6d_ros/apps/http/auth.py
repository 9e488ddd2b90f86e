"""Admission of clients: bearer token, and checks of the Host and Origin headers."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import stat
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from sam6d_ros.errors import InvalidConfig

COOKIE = "sam6d_pass"
PASS_S = 30 * 24 * 3600.0  # seconds until a browser is asked for the token again
MIN_TOKEN = 16  # characters: shorter ones can be tried out
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_LOCAL_NAMES = ("localhost",)


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        InvalidConfig: it cannot be read, is too short, or others may read it.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"the token file {path} cannot be read: {error}") from error
    if len(token) < MIN_TOKEN or not token.isascii() or any(c.isspace() for c in token):
        raise InvalidConfig(
            f"the token in {path} has {len(token)} characters; expected at least {MIN_TOKEN} "
            f"printable ASCII ones without spaces (openssl rand -hex 32 > {path})"
        )
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        raise InvalidConfig(f"the token file {path} may be read by others; run: chmod 600 {path}")
    return token


def is_loopback(host: str) -> bool:
    """Whether an address or host name reaches this machine only."""
    if host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gatekeeper:
    """Decision on a request by its headers alone.

    Args:
        token: that clients must send; empty for none.
        host: address that the service listens on.
    """

    def __init__(self, token: str, host: str) -> None:
        self._token, self._local = token, is_loopback(host)

    @property
    def needs_token(self) -> bool:
        """Whether clients must send a token."""
        return bool(self._token)

    def is_token(self, given: str) -> bool:
        """Whether a text is the token; takes the same time for every text of its length."""
        return hmac.compare_digest(given.encode(), self._token.encode())

    def new_pass(self) -> str:
        """Return the value of a cookie that stands for the token; a restart keeps it valid.

        It is not the token, and another token makes it invalid: expiry, random number, HMAC.
        """
        text = f"{time.time() + PASS_S:.0f}.{secrets.token_hex(16)}"
        return f"{text}.{self._signed(text)}"

    def is_pass(self, given: str) -> bool:
        """Whether a text is of ``new_pass`` and has not expired."""
        text, _, signature = given.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signed(text).encode()):
            return False
        return int(text.partition(".")[0]) > time.time()

    def _signed(self, text: str) -> str:
        return hmac.new(self._token.encode(), f"{COOKIE}:{text}".encode(), "sha256").hexdigest()

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether the token is in the Authorization header, or a pass for it in a page's cookie."""
        if not self._token:
            return True
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.is_token(value.strip())
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and self.is_pass(morsel.value)

    def refusal(self, method: str, headers: Mapping[str, str]) -> str:
        """Return why a request may come from another site in the user's browser; or nothing.

        A page elsewhere can name this server (its Origin is foreign then), and a foreign host
        name can be made to lead here (DNS rebinding; its Host is foreign then).
        """
        host = headers.get("host")  # a client of HTTP/1.0 may leave it out; browsers do not
        name = "" if host is None else _hostname(host)
        if self._local and host is not None and not is_loopback(name):
            return f"the Host header is {host!r:.100}; this service serves this machine only"
        if not self._local and not self._token and host is not None and not _is_own(name):
            return (
                f"the Host header is {host!r:.100}; without a token this service answers to "
                "addresses and to this machine's name only. Start it with --token-file"
            )
        origin = headers.get("origin", "")
        if method not in SAFE_METHODS and origin and _netloc(origin) != host:
            return f"the request comes from a page of {origin!r:.100}; expected one of this server"
        return ""


def _hostname(host: str) -> str:
    """Return the name in a Host header, without the port; empty if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # an unfinished IPv6 address
        return ""


def _is_own(name: str) -> bool:
    """Whether a name is an address, or one of this machine: no other site can have it."""
    try:
        ipaddress.ip_address(name.strip("[]"))
        return True
    except ValueError:
        own = socket.gethostname().lower()
        return name in (*_LOCAL_NAMES, own, own.partition(".")[0]) or name.endswith(".local")


def _netloc(origin: str) -> str:
    """Return host and port of an Origin header; empty if it is malformed."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
