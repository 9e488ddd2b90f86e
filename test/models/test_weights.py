"""Listing, checking and fetching weights, against a server on this machine."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sam6d_ros.errors import CheckpointError, InvalidConfig
from sam6d_ros.models import weights, weights_fetch
from sam6d_ros.models.weights_fetch import fetch

DATA = bytes(range(256)) * 9000  # some blocks
SHA = hashlib.sha256(DATA).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves DATA; the path says how badly."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.ranges.append(self.headers.get("Range"))
        start = 0
        if self.headers.get("Range") and "/norange/" not in self.path:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if "/absent/" in self.path:
            self.send_error(404)
        elif start >= len(DATA):
            self.send_error(416)
        else:
            self.answer(start)

    def answer(self, start: int) -> None:
        body = b"<!DOCTYPE html><p>quota" if "/page/" in self.path else DATA[start:]
        body = body * 3 if "/long/" in self.path or "/unstated/" in self.path else body
        self.send_response(206 if start else 200)
        if "/unstated/" not in self.path:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = "/cut/" in self.path and not start
        with suppress(ConnectionError):  # a client may stop a download
            self.wfile.write(body[: len(body) // 3] if cut else body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    ranges: list[str | None]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.ranges = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def file_at(
    server: Server, way: str = "ok", sha: str | None = SHA, size: int | None = len(DATA)
) -> weights.WeightsFile:
    url = f"http://127.0.0.1:{server.server_port}/{way}/w.pth"
    return weights.WeightsFile("pem", "base", "w.pth", url, sha, size)


def test_fetch_and_verify(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    file = file_at(server)
    path = fetch(tmp_path / "new", file, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert weights.verify(tmp_path / "new", file).sound
    fetch(tmp_path / "new", file)  # there already: no second request
    assert len(server.ranges) == 1


def test_broken_download_goes_on(server: Server, tmp_path: Path) -> None:
    file = file_at(server, "cut")
    with pytest.raises(CheckpointError, match="go on where it stopped"):
        fetch(tmp_path, file)
    part = weights.partial_path(tmp_path / "w.pth")
    have = part.stat().st_size
    assert 0 < have < len(DATA)
    assert not (tmp_path / "w.pth").exists()
    assert fetch(tmp_path, file).read_bytes() == DATA
    assert server.ranges == [None, f"bytes={have}-"]
    assert not part.exists()


def test_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    weights.partial_path(tmp_path / "w.pth").write_bytes(b"old")
    assert fetch(tmp_path, file_at(server, "norange")).read_bytes() == DATA


@pytest.mark.parametrize("size", [len(DATA), None])
def test_complete_partial_file_is_taken(server: Server, size: int | None, tmp_path: Path) -> None:
    weights.partial_path(tmp_path / "w.pth").write_bytes(DATA)
    assert fetch(tmp_path, file_at(server, size=size)).read_bytes() == DATA


@pytest.mark.parametrize("way", ["long", "unstated"])
@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_download_beyond_the_size_is_stopped_and_removed(
    server: Server, way: str, size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_fetch, "MAX_BYTES", 2 * len(DATA))
    with pytest.raises(CheckpointError, match=r"the server (offers|sends more than) [\d,]+ bytes"):
        fetch(tmp_path, file_at(server, way, size=size))
    assert list(tmp_path.iterdir()) == []


def test_wrong_content_is_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not w\.pth"):
        fetch(tmp_path, file_at(server, sha="0" * 64))
    assert list(tmp_path.iterdir()) == []


def test_web_page_is_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="web page instead"):
        fetch(tmp_path, file_at(server, "page", sha=None, size=None))
    assert list(tmp_path.iterdir()) == []


def test_unknown_checksum_is_recorded(server: Server, tmp_path: Path) -> None:
    file = file_at(server, sha=None, size=None)
    path = fetch(tmp_path, file)
    assert SHA in weights.sidecar(path).read_text()
    assert weights.verify(tmp_path, file).problem == ""
    path.write_bytes(DATA[:-1] + b"x")
    assert "sha256 is" in weights.verify(tmp_path, file).problem
    with pytest.raises(CheckpointError, match="delete it and fetch it again"):
        fetch(tmp_path, file)
    weights.sidecar(path).unlink()
    assert weights.verify(tmp_path, file).problem == weights.NO_CHECKSUM


def test_mirror(server: Server, tmp_path: Path) -> None:
    file = weights.WeightsFile("pem", "base", "w.pth", "http://127.0.0.1:1/none", SHA)
    mirror = f"http://127.0.0.1:{server.server_port}/ok"
    assert fetch(tmp_path, file, mirror=mirror).read_bytes() == DATA
    with pytest.raises(InvalidConfig, match="not an http"):
        fetch(tmp_path / "other", file, mirror="ftp://somewhere")


def test_offline(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="offline mode forbids"):
        fetch(tmp_path, file_at(server), offline=True)
    (tmp_path / "w.pth").write_bytes(DATA)
    assert fetch(tmp_path, file_at(server), offline=True).read_bytes() == DATA
    assert server.ranges == []


def test_missing_on_the_server(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"could not be fetched from http.*404"):
        fetch(tmp_path, file_at(server, "absent"))


def test_damaged_file_is_reported(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(DATA[:100])
    file = file_at(server)
    assert "100 bytes instead of" in weights.verify(tmp_path, file).problem
    with pytest.raises(CheckpointError, match="100 bytes instead of"):
        fetch(tmp_path, file)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read to compute their checksum."""
    seen: list[Path] = []
    real = weights.hash_file

    def record(path: Path) -> str:
        seen.append(path)
        return real(path)

    monkeypatch.setattr(weights, "hash_file", record)
    return seen


def own_file(sha: str | None) -> weights.WeightsFile:
    return weights.WeightsFile("pem", "base", "w.pth", "http://127.0.0.1:1/none", sha)


def test_an_unchanged_file_is_compared_once(hashed: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(DATA)
    for _ in range(3):
        assert weights.check_once(tmp_path, own_file(SHA)) == path
    assert len(hashed) == 1
    os.utime(path, ns=(1, 1))
    weights.check_once(tmp_path, own_file(SHA))
    assert len(hashed) == 2
    with pytest.raises(CheckpointError):  # what is known of the file changed
        weights.check_once(tmp_path, own_file("0" * 64))


def test_damage_is_noticed_when_loading(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(DATA)
    weights.check_once(tmp_path, own_file(SHA))
    path.write_bytes(DATA[:-1] + b"x")
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"sha256 .*fetch`; .*own .* w\.safetensors"):
            weights.check_once(tmp_path, own_file(SHA))


def test_a_replaced_file_without_published_checksum_says_how_to_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(DATA)
    assert weights.check_once(tmp_path, own_file(None)) == path  # nothing is known: nothing to say
    weights.sidecar(path).write_text("0" * 64 + "  w.pth\n")
    with pytest.raises(CheckpointError, match=r"on purpose, delete w\.pth\.sha256"):
        weights.check_once(tmp_path, own_file(None))


def test_a_folder_that_cannot_be_written_costs_time_only(
    hashed: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "w.pth").write_bytes(DATA)
    (tmp_path / "w.pth.checked").mkdir()  # in the way
    for _ in range(2):
        weights.check_once(tmp_path, own_file(SHA))
    assert len(hashed) == 2
    assert "again at the next start" in caplog.text


def test_list_and_missing(tmp_path: Path) -> None:
    names = [f.name for f in weights.required("vit_h")]
    assert names == ["sam_vit_h_4b8939.pth", "dinov2_vitl14_pretrain.pth", "sam-6d-pem-base.pth"]
    assert weights.missing(tmp_path, "vit_h") == names
    assert weights.missing(None, "vit_h") == names
    (tmp_path / "sam-6d-pem-base.safetensors").touch()
    assert weights.missing(tmp_path, "vit_h") == names[:2]
    (tmp_path / "sam_vit_h_4b8939.pth").write_bytes(b"short")
    states = {s.file.name: s for s in weights.list_files(tmp_path)}
    assert "5 bytes instead of 2564550879" in states["sam_vit_h_4b8939.pth"].problem
    assert states["sam-6d-pem-base.pth"].sound
    assert not states["sam_vit_b_01ec64.pth"].present
