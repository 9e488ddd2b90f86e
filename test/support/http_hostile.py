"""Hostile images, and the form of the answers to them."""

from __future__ import annotations

import struct
import zlib

import httpx


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    """Check an error answer: status, body, words of the message, and no traceback."""
    assert answer.status_code == status, answer.text[:500]
    body = answer.json()
    assert body["success"] is False
    assert body["request_id"]
    assert "Traceback" not in answer.text
    for word in words:
        assert word in body["error_message"], body["error_message"]


def png_header(width: int, height: int) -> bytes:
    """A PNG that states a size and holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0" * 1000)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
