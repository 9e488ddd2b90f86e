"""Live output: analysis of the newest picture, one JPEG for all viewers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from support.bop_folder import BopFolder
from support.rtsp import age_s, wait_for

from sam6d_ros.errors import NotReady, Overloaded
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer, FrameInput
from sam6d_ros.runtime.streams import (
    Analysis,
    Live,
    ReadSettings,
    SourcePolicy,
    Stream,
    by_model,
    detection,
)
from sam6d_ros.types import Boxes

BOX = Boxes(np.array([[10, 60, 200, 300]], np.float32), ("cup",), np.array([0.75], np.float32))


@contextmanager
def showing(stream: Stream, analysis: Analysis | None = None, **kwargs: int) -> Iterator[Live]:
    live = Live(stream, analysis, **kwargs)
    try:
        yield live
    finally:
        assert live.close()


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_boxes_are_drawn_and_all_viewers_share_one_jpeg(shared_camera, opened):
    images = []

    def detect(image_rgb):
        images.append(image_rgb.shape)
        return BOX

    with showing(opened(shared_camera.url), detection(detect)) as live:
        with live.subscribe() as one, live.subscribe() as other:
            first = one.next(10)
            wait_for(lambda: live.status.rate_hz > 0, "pictures")
            second, same = one.next(10), other.next(10)
        assert first.answer.boxes is BOX
        assert first.error == ""
        assert second.number > first.number
        assert abs(second.number - same.number) <= 1
        image = decoded(first.jpeg)
        assert image.shape == (360, 480, 3)
        assert age_s(image) < 5  # the strip is below no box
        inside, border = image[180, 100].astype(int), image[180, 10].astype(int)
        assert np.abs(inside - border).max() > 60
        assert live.status.viewers == 0
        assert live.status.age.count > 0


def test_pictures_that_nobody_watches_are_not_analysed(shared_camera, opened):
    calls = []
    stream = opened(shared_camera.url)
    with showing(stream, detection(lambda image: calls.append(1) or BOX)) as live:
        wait_for(lambda: stream.status.pictures > 10, "pictures")
        assert calls == []
        with live.subscribe() as viewer:
            assert viewer.next(10) is not None
        assert calls


def test_idle_viewer_slows_nobody(shared_camera, opened):
    with showing(opened(shared_camera.url)) as live:
        idle = [live.subscribe() for _ in range(19)]
        with live.subscribe() as viewer:
            numbers = [viewer.next(10).number for _ in range(20)]
        assert numbers == sorted(set(numbers))
        assert [viewer.poll() is not None for viewer in idle] == [True] * 19


def test_number_of_viewers_is_limited(shared_camera, opened):
    with showing(opened(shared_camera.url), max_viewers=1) as live:
        live.subscribe()
        with pytest.raises(Overloaded, match="has 1 viewers"):
            live.subscribe()


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (NotReady("the model 'm' is loading"), "the model 'm' is loading"),
        (RuntimeError("secret inside"), "by a defect"),
    ],
)
def test_failing_model_is_reported_and_the_stream_goes_on(shared_camera, opened, error, shown):
    broken = threading.Event()
    broken.set()

    def detect(image_rgb):
        if broken.is_set():
            raise error
        return BOX

    with showing(opened(shared_camera.url), detection(detect)) as live, live.subscribe() as viewer:
        picture = viewer.next(10)
        assert picture.answer is None
        assert shown in picture.error
        assert "secret" not in picture.error
        assert decoded(picture.jpeg).shape == (360, 480, 3)
        broken.clear()
        # a picture of before may come first
        wait_for(lambda: getattr(viewer.next(10).answer, "boxes", None) is BOX, "boxes")
        assert live.status.error == ""


def test_model_gets_the_frame_with_depth(tmp_path, opened):
    root = BopFolder(tmp_path / "data").write()
    items = []

    def submit(item: FrameInput) -> Future[FrameAnswer]:
        items.append(item)
        future: Future[FrameAnswer] = Future()
        future.set_result(FrameAnswer(BOX, lambda image: image // 2))
        return future

    stream = opened(
        f"frames:{root}", SourcePolicy(roots=(tmp_path,)), reading=ReadSettings(rate_hz=50)
    )
    with showing(stream, by_model(submit, 0.3)) as live, live.subscribe() as viewer:
        picture = viewer.next(10)
    assert items[0].threshold == 0.3
    assert (items[0].frame.depth > 0).any()
    assert items[0].frame.stamp_ns > 0
    difference = decoded(picture.jpeg).astype(int) - items[0].image_rgb // 2
    assert np.abs(difference).mean() < 5


def test_model_that_gives_no_answer_is_given_up(shared_camera, opened):
    waiting: list[Future[FrameAnswer]] = []

    def submit(item: FrameInput) -> Future[FrameAnswer]:
        waiting.append(Future())
        return waiting[-1]

    analysis = by_model(submit, timeout_s=0.1)
    with showing(opened(shared_camera.url), analysis) as live, live.subscribe() as viewer:
        assert "no answer within" in viewer.next(10).error
    assert waiting[0].cancelled()


def test_viewers_end_with_the_stream(shared_camera, opened):
    stream = opened(shared_camera.url)
    with showing(stream) as live, live.subscribe() as viewer:
        assert viewer.next(10) is not None
        stream.close()
        wait_for(lambda: viewer.ended, "the end")
        assert viewer.next(1) is None


def test_event_loop_that_has_ended_is_forgotten(shared_camera, opened):
    def notify():
        raise RuntimeError("Event loop is closed")

    with showing(opened(shared_camera.url)) as live:
        live.subscribe(notify)
        wait_for(lambda: live.status.viewers == 0, "the viewer to be dropped")
