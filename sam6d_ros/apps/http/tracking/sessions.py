"""Tracking sessions: instances that one client follows, their expiry, and the order of requests."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from sam6d_ros.apps.http.settings import Limits
from sam6d_ros.apps.http.tracking.work import Following
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import DeadlineExceeded, Overloaded, UnknownName

RETRY_S = 1.0  # after a refusal because of too many requests of one session


class Session:
    """Session of one client.

    Attributes:
        name: of the session.
        following: its instances.
        users: requests that wait for it or use it.
        used: seconds of the clock at the end of its last request.
        turn: held by the request that uses it; the others follow in order of arrival.
    """

    def __init__(self, name: str, following: Following, now: float) -> None:
        self.name, self.following, self.used = name, following, now
        self.users = 0
        self.turn = asyncio.Lock()


class Sessions:
    """Sessions of a server; its methods run on the event loop of one service.

    Args:
        limits: ``sessions`` at once, ``session_s`` seconds unused, ``queue`` requests of one.
        objects: registered objects by name.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        limits: Limits,
        objects: Callable[[], Mapping[str, ObjectModel]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._objects, self._clock = limits, objects, clock
        self._sessions: dict[str, Session] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        self._expire()
        return len(self._sessions)

    def find(self, name: str) -> Session:
        """Return a session.

        Raises:
            UnknownName: there is none, or it was not used for too long.
        """
        self._expire()
        if name not in self._sessions:
            raise self.unknown(name)
        return self._sessions[name]

    def unknown(self, name: str) -> UnknownName:
        """Return the error about a session that is not there, or has no frame yet."""
        return UnknownName(
            f"there is no tracking session {name!r}: it was not started, or was unused for "
            f"{self._limits.session_s:g} s; start it with poses or detect"
        )

    def expires_s(self, session: Session) -> float:
        """Return the seconds until an unused session ends."""
        return max(0.0, session.used + self._limits.session_s - self._clock())

    def end(self, name: str) -> Session:
        """End a session; requests that wait for it fail.

        Returns:
            The session.

        Raises:
            UnknownName: there is none.
        """
        session = self.find(name)
        del self._sessions[name]
        return session

    @asynccontextmanager
    async def turn(self, name: str, starts: bool, timeout_s: float) -> AsyncIterator[Session]:
        """Use a session after the requests of it that came before.

        Args:
            starts: whether the request may start the session; one that fails at its first request
                is not kept.
            timeout_s: longest wait.
            name: of the session.

        Yields:
            The session.

        Raises:
            UnknownName: there is no session, or it ended meanwhile.
            Overloaded: there are too many sessions, or too many requests of this one.
            DeadlineExceeded: the requests before took too long.
        """
        session = self._started(name) if starts else self.find(name)
        if session.users >= self._limits.queue:
            text = f"{session.users} requests of the session {name!r} wait; send fewer at once"
            raise Overloaded(text, RETRY_S)
        session.users += 1
        try:
            await self._wait(session, timeout_s)
            try:
                if not (starts or session.following.frames):
                    raise self.unknown(name)
                yield session
            finally:
                session.turn.release()
        finally:
            session.users -= 1
            session.used = self._clock()
            if not (session.following.frames or session.users):
                self._forget(session)

    async def _wait(self, session: Session, timeout_s: float) -> None:
        try:
            await asyncio.wait_for(session.turn.acquire(), timeout_s)
        except asyncio.TimeoutError:
            text = f"earlier requests of the session took longer than {timeout_s:.3g} s"
            raise DeadlineExceeded(text) from None
        if self._sessions.get(session.name) is not session:
            session.turn.release()
            raise UnknownName(f"the tracking session {session.name!r} ended meanwhile")

    def _started(self, name: str) -> Session:
        self._expire()
        if name not in self._sessions:
            self._check_room()
            following = Following(self._objects, f"{next(self._numbers)}/")
            self._sessions[name] = Session(name, following, self._clock())
        return self._sessions[name]

    def _check_room(self) -> None:
        if len(self._sessions) < self._limits.sessions:
            return
        soonest = min((self.expires_s(s) for s in self._sessions.values()), default=math.inf)
        raise Overloaded(
            f"{len(self._sessions)} tracking sessions are open, the most that this server keeps; "
            f"end one with DELETE, or wait until one is unused for {self._limits.session_s:g} s",
            min(soonest, self._limits.session_s),
        )

    def _expire(self) -> None:
        for session in [*self._sessions.values()]:
            if not session.users and not self.expires_s(session):
                self._forget(session)

    def _forget(self, session: Session) -> None:
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]
