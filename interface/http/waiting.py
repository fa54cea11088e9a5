"""Waits of requests for the market: their longest duration, and their number at a time."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from eventsourcing.application import Application
from flask import Request, request
from werkzeug.http import parse_list_header

from application.waiting import Mark, Progress
from interface.http.api import BEGUN, GONE
from interface.http.limits import Limits
from interface.http.pool import Pool
from interface.http.problems import BadInput, Fault, Problem
from interface.http.tokens import Token, decode
from interface.listening import Bell

MAX_WAIT_SECONDS: Final = 30

T = TypeVar("T")


class Waiting:
    """Waits on behalf of requests, so many at a time as may be.

    Reads, which wait for milliseconds, have places of their own, so that long waits of writers
    don't take them.
    """

    def __init__(self, bell: Bell, pool: Pool, limits: Limits) -> None:
        self.progress: Progress = bell
        self._bell = bell
        self._pool = pool
        self._writes = _Places(limits.prefer_waits)
        self._reads = _Places(limits.position_waits)
        self._read_seconds = limits.read_wait_seconds

    async def recorded(self, application: Application[UUID]) -> int:
        """Return the last notification id of an application's log, or an earlier one."""
        if not self._bell.is_informed:  # a long log is not read from its beginning for that
            return await self._pool.run(application.recorder.max_notification_id) or 0
        return self.progress.recorded(application.name)

    async def decided(self, steps: Generator[Mark, None, T], seconds: float) -> T:
        """The result of the steps. Raises TimeoutError: too late, or no place was free."""
        return await self._drive(steps, seconds, self._writes)

    async def shown(self, steps: Generator[Mark, None, None]) -> None:
        """Wait until a read model shows what a client has seen already.

        Raises Problem 503 if it does not in time.
        """
        try:
            await self._drive(steps, self._read_seconds, self._reads)
        except TimeoutError:
            raise Problem(503, "What is read here does not show that Position yet") from None

    async def _drive(self, steps: Generator[Mark, None, T], seconds: float, places: "_Places") -> T:
        environ = request.environ
        with places.place() as has_place:
            return await self._bell.drive(
                steps,
                seconds if has_place else 0,
                begun=environ.get(BEGUN),
                gone=environ.get(GONE),
            )


class _Places:
    """A number of places, each for one request at a time."""

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Yield whether one was free, and hold it."""
        if not self._free:
            yield False
            return
        self._free -= 1
        try:
            yield True
        finally:
            self._free += 1


def preferred_wait(request: Request) -> int | None:
    """The seconds of ``Prefer: wait=N`` (RFC 7240), 30 at most; None without a valid one."""
    preferences = request.headers.get("Prefer")
    if preferences is None:
        return None
    for preference in parse_list_header(preferences):
        name, _, value = preference.partition(";")[0].partition("=")
        seconds = value.strip().strip('"')
        if name.strip().lower() == "wait" and seconds.isascii() and seconds.isdigit():
            return int(min(Decimal(seconds), Decimal(MAX_WAIT_SECONDS)))
    return None


def awaited_position(request: Request) -> int | None:
    """The place in the log of Orders that the header ``Position`` stands for.

    Raises BadInput for a header that is not a token of ours.
    """
    token = request.headers.get("Position")
    if token is None:
        return None
    try:
        [position] = decode(Token.POSITION, token)
    except ValueError as error:
        raise BadInput(Fault("Position", f"Position {error}")) from None
    return position
