"""Streams from a real RTSP camera: fan-out, loss and return, reasons."""

from __future__ import annotations

import io
import logging
import socket
import threading
import time

import pytest
from support.rtsp import age_s, wait_for

from sam6d_ros.runtime.streams import ReadSettings, Stream, StreamSettings, StreamState


def failed(stream: Stream, timeout_s: float = 20.0) -> str:
    """Return the reason once a stream has failed."""
    wait_for(lambda: stream.status.state is StreamState.FAILED, "the failure", timeout_s)
    return stream.status.reason


def live(stream: Stream, timeout_s: float = 20.0) -> None:
    wait_for(lambda: stream.status.state is StreamState.LIVE, "pictures", timeout_s)


def test_two_viewers_share_one_decode(shared_camera, opened):
    before = shared_camera.clients
    stream = opened(shared_camera.url)
    with stream.subscribe() as one, stream.subscribe() as other:
        pictures = [one.next(5), one.next(5), one.next(5)]
        assert other.next(5) is not None
    assert shared_camera.clients == before + 1
    assert all(picture is not None for picture in pictures)
    assert pictures[0].image_rgb.shape == (360, 480, 3)
    assert pictures[0].image_rgb is pictures[0].image_rgb
    assert [p.decoded_at for p in pictures] == sorted({p.decoded_at for p in pictures})
    assert age_s(stream.subscribe().next(5).image_rgb) < 2
    status = stream.status
    assert status.state is StreamState.LIVE
    assert status.size == (480, 360)
    assert status.attempts == 1


def test_viewers_that_read_nothing_change_nothing(shared_camera, opened):
    stream = opened(shared_camera.url)
    idle = [stream.subscribe() for _ in range(19)]
    with stream.subscribe() as viewer:
        pictures = [viewer.next(5) for _ in range(30)]
    assert None not in pictures
    assert stream.status.viewers == 19
    newest = {id(viewer.next(0)) for viewer in idle}
    assert len(newest) <= 2  # one slot for all: at most the picture of before and the next one


def test_slow_viewer_gets_the_newest_picture(shared_camera, opened):
    stream = opened(shared_camera.url)
    with stream.subscribe() as viewer:
        assert viewer.next(5) is not None
        seen = stream.status.pictures
        wait_for(lambda: stream.status.pictures >= seen + 10, "ten pictures")
        assert viewer.next(5).age_s < 1
        assert viewer.missed >= 8


def test_rate_is_limited(shared_camera, opened):
    stream = opened(shared_camera.url, settings=StreamSettings(max_rate_hz=5))
    with stream.subscribe() as viewer:
        times = [viewer.next(5).decoded_at for _ in range(8)]
    assert (times[-1] - times[0]) / (len(times) - 1) > 0.19
    assert stream.status.pictures > 2 * len(times)


def test_killed_camera_fails_and_comes_back(own_camera, opened):
    stream = opened(own_camera.url)
    live(stream)
    own_camera.kill()
    assert "closed the connection" in failed(stream) or "nothing listens" in stream.status.reason
    assert stream.subscribe().poll() is None  # no old picture for a new viewer
    wait_for(lambda: "nothing listens" in stream.status.reason, "the refused connection")
    own_camera.start()
    live(stream)
    assert stream.status.reason == ""
    assert stream.status.attempts >= 3


def test_stalled_camera_is_noticed_by_the_age_and_comes_back(own_camera, opened):
    stream = opened(own_camera.url, settings=StreamSettings(stall_s=0.3))
    live(stream)
    own_camera.stall()
    wait_for(lambda: stream.status.state is StreamState.STALLED, "the stall")
    assert "no picture for" in stream.status.reason
    assert "sent no picture" in failed(stream)
    own_camera.resume()
    live(stream)


def test_wrong_path_is_named(shared_camera, opened):
    reason = failed(opened(shared_camera.url.replace("/cam", "/nope")))
    assert "no stream of this path (404)" in reason
    assert "manual" in reason


@pytest.mark.parametrize("credentials", ["user:wr0ng-one", "wr0ng-one:s3cr3t", "wr0ng-one"])
def test_wrong_password_is_named_and_never_shown(locked_camera, opened, caplog, capfd, credentials):
    caplog.set_level(logging.DEBUG)
    stream = opened(locked_camera.url_for(credentials))
    reason = failed(stream)
    assert "refuses the user name or password" in reason
    assert stream.status.retry_s > 30  # cameras lock the account
    everything = reason + caplog.text + "".join(capfd.readouterr()) + repr(stream.status)
    assert "wr0ng-one" not in everything
    assert "s3cr3t" not in everything


def test_a_log_that_cannot_be_written_shows_no_password(locked_camera, opened, capfd):
    gone = io.StringIO()
    handler = logging.StreamHandler(gone)
    gone.close()
    logger = logging.getLogger("sam6d_ros.runtime.streams.stream")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        failed(opened(locked_camera.url_for("wr0ng-one")))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    said = capfd.readouterr().err
    assert "Logging error" in said
    assert "wr0ng-one" not in said


def test_right_password_is_taken(locked_camera, opened, caplog):
    caplog.set_level(logging.DEBUG)
    stream = opened(locked_camera.url_for("user:s3cr3t"))
    live(stream)
    assert "s3cr3t" not in caplog.text


def test_udp_is_taken_by_option(shared_camera, opened):
    stream = opened(shared_camera.url, reading=ReadSettings(transport="udp"))
    live(stream)
    with stream.subscribe() as viewer:
        assert age_s(viewer.next(10).image_rgb) < 5


def test_nothing_listening_is_named(opened):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        port = taken.getsockname()[1]
        assert f"nothing listens at 127.0.0.1:{port}" in failed(
            opened(f"rtsp://127.0.0.1:{port}/cam")
        )


def test_silent_host_is_given_up(opened):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stream = opened(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam")
        assert "does not answer within 1." in failed(stream)


def test_close_ends_waiting_viewers(opened):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stream = opened(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam")
        viewer, ended = stream.subscribe(), []
        waiting = threading.Thread(target=lambda: ended.append(viewer.next(60)))
        waiting.start()
        start = time.monotonic()
        stream.close()
        waiting.join(10)
    assert ended == [None]
    assert time.monotonic() - start < 10
    assert viewer.ended
    assert stream.status.state is StreamState.CLOSED
