"""Streams of a server: add, test, edit, remove; kept in a private file over restarts."""

from __future__ import annotations

import json
import logging
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rtsp import wait_for

from sam6d_ros.errors import InvalidInput, NotAllowed, ResourceExhausted, TooLarge, UnknownName
from sam6d_ros.runtime.streams import SourcePolicy, StreamSet, StreamSpec, StreamState
from sam6d_ros.runtime.streams.storage import StreamFile

from .conftest import LOOPBACK

Made = Callable[..., StreamSet]
CLOSED = "rtsp://user:geheim@127.0.0.1:1/cam"  # nothing listens there


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Make stream sets on one file."""
    with ExitStack() as stack:

        def make(policy: SourcePolicy = LOOPBACK, **kwargs: object) -> StreamSet:
            streams = StreamSet(policy, tmp_path / "server/streams.json", **kwargs)
            stack.callback(streams.close)
            streams.restore()
            return streams

        yield make


def test_streams_are_added_edited_removed_and_restored(made, tmp_path):
    streams = made()
    entry = streams.add(StreamSpec("door", CLOSED, max_rate_hz=5))
    other = streams.add(StreamSpec("gate", CLOSED))
    assert [e.spec.name for e in streams.entries()] == ["door", "gate"]
    path = tmp_path / "server/streams.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.with_name("streams.json.new").exists()
    spec = streams.described({"name": "front door", "url": entry.spec.shown}, entry.key)
    edited = streams.edit(entry.key, spec)
    assert edited.spec.url == CLOSED  # the hidden credentials stay
    assert edited.key == entry.key
    streams.remove(other.key)
    streams.close()
    restored = made().entries()
    assert [(e.key, e.spec) for e in restored] == [(entry.key, edited.spec)]


def test_hidden_credentials_go_to_no_other_host(made):
    streams = made()
    key = streams.add(StreamSpec("door", CLOSED)).key
    with pytest.raises(InvalidInput, match="are hidden"):
        streams.described({"name": "door", "url": "rtsp://***@127.0.0.1:2/cam"}, key)


def test_editing_ends_the_old_stream(made, shared_camera):
    streams = made()
    old = streams.add(StreamSpec("a", shared_camera.url))
    with old.live.subscribe() as viewer:
        assert viewer.next(10) is not None
        new = streams.edit(old.key, StreamSpec("b", shared_camera.url))
        wait_for(lambda: viewer.ended, "the end of the old viewers")
    wait_for(lambda: new.stream.status.state is StreamState.LIVE, "pictures")
    assert streams.get(old.key) is new


def test_unknown_ids_are_named(made):
    streams = made()
    for call in (
        lambda: streams.get("nope"),
        lambda: streams.remove("nope"),
        lambda: streams.edit("nope", StreamSpec("a", CLOSED)),
        lambda: streams.described({"name": "a", "url": CLOSED}, "nope"),
    ):
        with pytest.raises(UnknownName, match="'nope'"):
            call()


def test_rules_are_applied_before_a_stream_is_stored(made, tmp_path):
    streams = made(SourcePolicy())
    for url in ("rtsp://localhost/cam", "/etc/passwd", "frames:/etc", "/dev/video0"):
        with pytest.raises(NotAllowed, match="--allow-"):
            streams.add(StreamSpec("a", url))
    assert streams.entries() == []
    assert "--allow-network" in streams.test(StreamSpec("a", "rtsp://localhost/cam")).reason
    with pytest.raises(NotAllowed, match="--allow-root"):
        streams.test(StreamSpec("a", "/etc/passwd"))
    assert not (tmp_path / "server/streams.json").exists()


def test_host_that_is_unknown_now_is_taken(made):
    entry = made().add(StreamSpec("a", "rtsp://no-such-host.invalid/cam"))
    wait_for(lambda: entry.stream.status.state is StreamState.FAILED, "the failure")
    assert "unknown" in entry.stream.status.reason


def test_number_of_streams_is_limited(made):
    streams = made(max_streams=1)
    streams.add(StreamSpec("a", CLOSED))
    with pytest.raises(TooLarge, match="remove one first"):
        streams.add(StreamSpec("b", CLOSED))


def test_test_gives_a_picture(made, shared_camera):
    trial = made().test(StreamSpec("a", shared_camera.url), timeout_s=20)
    assert trial.reason == ""
    assert trial.image_rgb.shape == (360, 480, 3)


def test_test_gives_the_reason_within_its_time(made):
    streams = made()
    assert "nothing listens" in streams.test(StreamSpec("a", CLOSED)).reason
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam"
        trial = streams.test(StreamSpec("a", url), timeout_s=1.0)
    assert trial.image_rgb is None
    assert "does not answer" in trial.reason or "no picture within" in trial.reason
    assert time.monotonic() - start < 10


def test_damaged_file_is_kept_aside(made, tmp_path, caplog):
    path = tmp_path / "server/streams.json"
    path.parent.mkdir()
    good = {"name": "a", "url": CLOSED}
    texts = (
        "{",
        "[" * 100_000,
        "[]",
        '{"streams": {"1": 5}}',
        json.dumps({"streams": {"1": good, "2": {"name": "b", "url": "nonsense"}}}),
        json.dumps({"streams": {"1": good, "2": good | {"later": 1}}}),
    )
    for text in texts:
        path.write_text(text)
        streams = made()
        streams.add(StreamSpec("new", CLOSED))
        streams.close()
        assert "new" in {spec.name for spec in StreamFile(path).read().values()}
    assert {"1"} < set(StreamFile(path).read())
    kept = [path.with_name(f"streams.json.damaged-{n}") for n in range(1, len(texts) + 1)]
    assert [one.read_text() for one in kept] == [*texts]
    assert "geheim" not in caplog.text


def test_the_usable_part_of_a_damaged_file_is_kept(made, tmp_path):
    path = tmp_path / "server/streams.json"
    path.parent.mkdir()
    good = {"name": "a", "url": CLOSED}
    path.write_text(json.dumps({"streams": {"1": good, "2": {"name": "b", "url": "nonsense"}}}))
    for _ in range(2):
        streams = made()
        assert [entry.key for entry in streams.entries()] == ["1"]
        streams.close()
    assert len([*path.parent.glob("*.damaged-*")]) == 1


def test_a_stream_that_is_removed_while_the_server_ends_stays_in_the_file(made, tmp_path):
    streams = made()
    key = streams.add(StreamSpec("a", CLOSED)).key
    streams.get = lambda _: None  # found just before the end began
    streams.close()
    with pytest.raises(UnknownName):
        streams.remove(key)
    assert set(StreamFile(tmp_path / "server/streams.json").read()) == {key}


def test_failed_write_changes_nothing(made, tmp_path):
    streams = made()
    key = streams.add(StreamSpec("a", CLOSED)).key
    new = tmp_path / "server/streams.json.new"
    new.mkdir()  # cannot be replaced by a file
    with pytest.raises(ResourceExhausted, match="cannot be stored"):
        streams.add(StreamSpec("b", CLOSED))
    with pytest.raises(ResourceExhausted):
        streams.remove(key)
    assert [e.spec.name for e in streams.entries()] == ["a"]


def test_credentials_are_not_logged(made, caplog):
    caplog.set_level(logging.DEBUG)
    streams = made()
    entry = streams.add(StreamSpec("a", CLOSED))
    wait_for(lambda: entry.stream.status.state is StreamState.FAILED, "the failure")
    assert "geheim" not in caplog.text + repr(entry) + entry.spec.shown


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
FIELDS = st.sampled_from([*StreamSpec.__dataclass_fields__, "other"])


@settings(deadline=None)
@given(st.dictionaries(FIELDS, VALUES | st.lists(VALUES)), st.booleans())
def test_any_description_is_taken_or_refused_by_name(values, complete):
    if complete:
        values = values | {"name": "a", "url": CLOSED}
    try:
        spec = StreamSpec.from_values(values)
    except InvalidInput:
        return
    assert StreamSpec.from_values(vars(spec)) == spec
