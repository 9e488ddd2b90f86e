"""Sources beside RTSP: HTTP MJPEG, files, frame folders; what they may not lead to."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.bop_folder import CAMERA, BopFolder
from support.mjpeg_server import http_camera
from support.rtsp import wait_for

from sam6d_ros.runtime.streams import ReadSettings, SourcePolicy, StreamState

av = pytest.importorskip("av", reason="missing: pip install -e '.[streams]'")


def write_video(path: Path, pictures: int = 5, rate_hz: int = 50, size: int = 64) -> Path:
    """Write grey pictures of rising brightness: 40, 60, 80 …"""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate_hz)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(pictures):
            image = np.full((size, size, 3), (40 + 20 * number) % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def reason_of(stream) -> str:
    wait_for(lambda: stream.status.state is StreamState.FAILED, "the failure")
    return stream.status.reason


def test_http_mjpeg_is_read_by_address_under_the_host_name(opened):
    with http_camera() as server:
        name = f"localhost:{server.server_port}"
        stream = opened(f"http://{name}/video")
        with stream.subscribe() as viewer:
            pictures = [viewer.next(10) for _ in range(5)]
        assert pictures[-1].image_rgb.shape == (48, 64, 3)
        assert server.seen[0] == ("/video", name)
        stream.close()


@pytest.mark.parametrize(
    ("path", "wanted"), [("/moved", "redirects to another address"), ("/list", "gives no video")]
)
def test_http_leads_to_no_other_address(opened, path, wanted):
    with http_camera() as server:
        assert wanted in reason_of(opened(f"{server.url}{path}"))
        assert {seen for seen, _ in server.seen} == {path}


def test_http_takes_a_password(opened):
    with http_camera() as server:
        place = f"127.0.0.1:{server.server_port}/locked"
        stream = opened(f"http://user:p%40ss%2Fw@{place}")
        with stream.subscribe() as viewer:
            assert viewer.next(10) is not None
        stream.close()
        reason = reason_of(opened(f"http://user:wr0ng-one@{place}"))
        assert "refuses the user name or password" in reason
        assert "wr0ng" not in reason


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile other.mp4\n"),
        ("a.sdp", "v=0\nc=IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
        ("a.mp4", "no video at all"),
    ],
)
def test_files_lead_to_no_other_file(tmp_path, opened, name, text):
    write_video(tmp_path / "other.mp4")
    (tmp_path / name).write_text(text)
    stream = opened(f"{tmp_path}/{name}", SourcePolicy(roots=(tmp_path,)))
    assert "gives no video" in reason_of(stream)
    assert stream.status.pictures == 0


def test_file_is_played_again(tmp_path, opened):
    path = write_video(tmp_path / "a.mp4")
    stream = opened(str(path), SourcePolicy(roots=(tmp_path,)))
    wait_for(lambda: stream.status.pictures >= 12, "the third round")
    assert stream.status.state is StreamState.LIVE
    assert stream.status.attempts == 1


def test_file_ends_where_it_is_played_once(tmp_path, opened):
    path = write_video(tmp_path / "a.mp4")
    stream = opened(str(path), SourcePolicy(roots=(tmp_path,)), reading=ReadSettings(loop=False))
    with stream.subscribe() as viewer:
        wait_for(lambda: stream.status.state is StreamState.ENDED, "the end")
        assert abs(int(viewer.poll().image_rgb[32, 32, 0]) - 120) < 8  # the last picture stays
    assert stream.status.pictures == 5
    assert "loop" in stream.status.reason


def test_damaged_file_gives_what_can_be_decoded(tmp_path, opened):
    data = bytearray(write_video(tmp_path / "a.mp4", 20).read_bytes())
    start = data.index(b"mdat")
    data[start + 400 : start + 480] = bytes(80)
    path = tmp_path / "b.mp4"
    path.write_bytes(data)
    stream = opened(str(path), SourcePolicy(roots=(tmp_path,)), reading=ReadSettings(loop=False))
    wait_for(lambda: stream.status.state in (StreamState.ENDED, StreamState.FAILED), "the end")
    assert stream.status.pictures > 0


def test_large_pictures_are_refused(tmp_path, opened):
    path = write_video(tmp_path / "a.mp4")
    reading = ReadSettings(max_pixels=4000)
    stream = opened(str(path), SourcePolicy(roots=(tmp_path,)), reading=reading)
    assert "pictures of more than 4,000 pixels" in reason_of(stream)


def test_large_pictures_are_refused_before_they_are_decoded(tmp_path, opened):
    path = tmp_path / "a.mjpeg"  # its head has no size: the pictures alone have
    path.write_bytes(cv2.imencode(".jpg", np.zeros((3000, 3000, 3), np.uint8))[1].tobytes() * 3)
    reading = ReadSettings(max_pixels=1_000_000)
    stream = opened(str(path), SourcePolicy(roots=(tmp_path,)), reading=reading)
    assert "pictures of more than 1,000,000 pixels, which" in reason_of(stream)
    assert stream.status.pictures == 0


def test_sound_alone_is_named(tmp_path, opened):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reason = reason_of(opened(str(path), SourcePolicy(roots=(tmp_path,))))
    assert "has no video, only ['audio']" in reason


def test_rules_are_applied_at_each_attempt(opened):
    reason = reason_of(opened("rtsp://127.0.0.1/cam", SourcePolicy()))
    assert "--allow-network 127.0.0.1" in reason


def test_missing_camera_is_named(opened):
    assert "plugged in" in reason_of(opened("/dev/video99", SourcePolicy(devices=True)))


@pytest.mark.parametrize("hardware", ["cuda", "vaapi", "qsv", "drm", "amf"])
def test_the_cpu_decodes_where_a_device_is_missing(tmp_path, opened, hardware):
    path = write_video(tmp_path / "a.mp4")
    reading = ReadSettings(hardware=hardware)
    stream = opened(str(path), SourcePolicy(roots=(tmp_path,)), reading=reading)
    wait_for(lambda: stream.status.pictures >= 6, "pictures")


def test_missing_package_is_named(tmp_path, opened, monkeypatch):
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    assert ".[streams]" in reason_of(opened(str(path), SourcePolicy(roots=(tmp_path,))))


def test_frame_folder_gives_frames_with_depth(tmp_path, opened):
    root = BopFolder(tmp_path / "data").write()
    stream = opened(
        f"frames:{root}", SourcePolicy(roots=(tmp_path,)), reading=ReadSettings(rate_hz=50)
    )
    with stream.subscribe() as viewer:
        pictures = [viewer.next(10) for _ in range(5)]  # two images, played again
    frames = [picture.frame for picture in pictures]
    assert frames[0].camera.matrix.tolist() == CAMERA.matrix.tolist()
    assert (frames[0].depth > 0).any()
    assert (pictures[0].image_rgb == frames[0].rgb).all()
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(set(stamps))


def test_folder_of_another_layout_is_named(tmp_path, opened):
    reason = reason_of(opened(f"frames:{tmp_path}", SourcePolicy(roots=(tmp_path,))))
    assert "BOP format" in reason


def test_closed_streams_leave_no_thread_and_no_file(tmp_path, opened):
    path = write_video(tmp_path / "a.mp4")

    def play() -> None:
        stream = opened(str(path), SourcePolicy(roots=(tmp_path,)))
        wait_for(lambda: stream.status.pictures >= 6, "the second round")
        assert stream.close()

    play()  # lazy imports open files
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        play()
    assert threading.active_count() == threads
    # a leak leaves one per round; a thread of an earlier test may open or close a file meanwhile
    assert len(os.listdir("/proc/self/fd")) < files + 10
