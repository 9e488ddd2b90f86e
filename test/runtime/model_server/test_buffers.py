"""Pools of memory: what is reused, what is let go, and what CUDA would be asked for."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from sam6d_ros.runtime.model_server.buffers import BufferPool, ModelBuffers

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))


def floats(count):
    return np.empty(count, np.float32)


@settings(max_examples=60, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=12))
def test_a_loan_has_its_shape_and_no_part_of_another(shapes):
    pool = BufferPool(floats)
    for shape in shapes:
        with pool.lend(shape) as outer, pool.lend(shape[::-1]) as inner:
            assert (outer.shape, inner.shape) == (shape, shape[::-1])
            assert outer.flags.c_contiguous
            assert not np.shares_memory(outer, inner)
    counts = pool.counts
    assert counts.allocated + counts.reused == 2 * len(shapes)


def test_memory_that_is_large_enough_is_lent_again_the_smallest_first():
    pool, made = BufferPool(floats), []
    for shape in ((100,), (10,)):
        with pool.lend(shape) as buffer:
            made.append(buffer)
        if shape == (100,):  # keep both: a small loan while the large one is out
            with pool.lend((100,)), pool.lend((10,)) as small:
                made.append(small)
    with pool.lend((3, 3)) as nine:
        assert np.shares_memory(nine, made[1])
    with pool.lend((11,)) as eleven:
        assert np.shares_memory(eleven, made[0])
    assert pool.counts.allocated == 2


def test_memory_above_the_limit_is_let_go_and_so_is_all_on_request():
    pool = BufferPool(floats, max_kept_bytes=4 * 30)
    with pool.lend((10,)), pool.lend((25,)):
        pass
    assert pool.counts.kept_bytes == 4 * 10  # given back last
    with pool.lend((31,)):
        pass
    assert pool.counts.kept_bytes == 0
    with pool.lend((5,)):
        pass
    pool.clear()
    assert pool.counts.kept_bytes == 0


def test_memory_comes_back_when_the_call_fails():
    pool = BufferPool(floats)
    with pytest.raises(ZeroDivisionError), pool.lend((4,)):
        raise ZeroDivisionError
    with pool.lend((4,)):
        assert (pool.counts.allocated, pool.counts.reused) == (1, 1)


def test_threads_never_share_a_loan():
    pool, clashes = BufferPool(floats), []

    def use(number):
        for _ in range(200):
            with pool.lend((16,)) as buffer:
                buffer[:] = number
                if not (buffer == number).all():
                    clashes.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes
    assert pool.counts.allocated <= 4


class CudaDouble:
    """Device in the memory of the host; notes what it is asked for."""

    def __init__(self, device: str) -> None:
        self.device, self.asked = device, []
        self.entered = 0

    def pinned(self, count):
        self.asked.append(("pinned", count))
        return floats(count)

    def tensor(self, count):
        self.asked.append(("tensor", count))
        return floats(count)

    def stream(self):
        self.asked.append(("stream",))

        @contextmanager
        def enter():
            self.entered += 1
            yield

        return enter


def test_cuda_is_asked_at_the_first_call_and_once_for_each_kind():
    made = []

    def cuda(device):
        made.append(CudaDouble(device))
        return made[-1]

    buffers = ModelBuffers("cuda:1", use_stream=True, cuda=cuda)
    assert made == []
    for _ in range(3):
        with buffers.host((2, 3)), buffers.device((2, 3)) as tensor, buffers.stream():
            assert tensor.shape == (2, 3)
    (device,) = made
    assert device.device == "cuda:1"
    assert device.asked == [("pinned", 6), ("tensor", 6), ("stream",)]
    assert device.entered == 3
    buffers.clear()
    assert (buffers.host_pool.counts.kept_bytes, buffers.device_pool.counts.kept_bytes) == (0, 0)
    with buffers.stream():
        assert len(made) == 2  # made anew


def test_without_the_option_there_is_no_stream():
    device = CudaDouble("cuda")
    with ModelBuffers("cuda", cuda=lambda _: device).stream():
        assert device.asked == []


def test_the_cpu_has_arrays_and_neither_tensors_nor_streams():
    buffers = ModelBuffers("cpu", use_stream=True, cuda=CudaDouble)
    with buffers.host((2, 2)) as array, buffers.device((2, 2)) as tensor, buffers.stream():
        assert array.dtype == np.float32
        assert tensor is None
