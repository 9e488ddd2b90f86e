"""Sessions of a server: bounded, in order, and gone when they end; without an engine."""

from __future__ import annotations

import asyncio

import pytest

from sam6d_ros.apps.http.settings import Limits
from sam6d_ros.apps.http.tracking.sessions import Sessions
from sam6d_ros.errors import DeadlineExceeded, Overloaded, UnknownName

LONG_S = 60.0


def sessions(**limits):
    return Sessions(Limits(**limits), dict)


async def started(every, name="arm"):
    """Session with one frame."""
    async with every.turn(name, True, LONG_S) as session:
        session.following.frames = 1
    return session


def test_too_many_requests_of_one_session_are_refused():
    async def main():
        every = sessions(queue=1)
        await started(every)
        async with every.turn("arm", False, LONG_S):
            with pytest.raises(Overloaded, match="send fewer at once"):
                async with every.turn("arm", False, LONG_S):
                    pass
        async with every.turn("arm", False, LONG_S):
            pass

    asyncio.run(main())


def test_a_wait_for_earlier_requests_has_an_end():
    async def main():
        every = sessions()
        await started(every)
        async with every.turn("arm", False, LONG_S):
            with pytest.raises(DeadlineExceeded, match=r"longer than 0\.01 s"):
                async with every.turn("arm", False, 0.01):
                    pass
        async with every.turn("arm", False, LONG_S) as session:
            assert session.users == 1

    asyncio.run(main())


def test_requests_that_wait_for_a_session_that_ends_fail():
    async def main():
        every = sessions()
        await started(every)

        async def late():
            async with every.turn("arm", False, LONG_S):
                pass

        async with every.turn("arm", False, LONG_S) as session:
            waiting = asyncio.create_task(late())
            while session.users < 2:
                await asyncio.sleep(0)
            assert every.end("arm") is session
        with pytest.raises(UnknownName, match="ended meanwhile"):
            await waiting
        assert len(every) == 0
        again = await started(every)
        assert again is not session

    asyncio.run(main())


def test_turns_are_taken_in_order_of_arrival():
    async def main():
        every, order = sessions(), []
        await started(every)

        async def take(number):
            async with every.turn("arm", False, LONG_S):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(take(number) for number in range(10)))
        assert order == list(range(10))

    asyncio.run(main())


def test_a_start_that_fails_leaves_the_place_of_its_session():
    async def main():
        every = sessions(sessions=1)
        with pytest.raises(ValueError, match="no frame"):
            async with every.turn("arm", True, LONG_S):
                raise ValueError("no frame")
        await started(every, "other")
        with pytest.raises(Overloaded) as refused:
            await started(every, "third")
        assert 0 < refused.value.retry_after_s <= Limits.session_s

    asyncio.run(main())
