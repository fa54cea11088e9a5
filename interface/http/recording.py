"""The recording of commands: stamped with the database's time, several in one commit."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from eventsourcing.domain import CollectEventsProtocol
from eventsourcing.persistence import StoredEvent

from application.persistence.guards import StampAhead
from interface.http.problems import Problem
from interface.http.worker import Worker

Made = TypeVar("Made", bound=CollectEventsProtocol)


class Recording:
    """The way of new events into the log of Orders.

    At most ``most`` requests wait for a commit at a time.
    """

    def __init__(self, worker: Worker, most: int) -> None:
        self._to_stored = worker.market.orders.mapper.to_stored_event
        self._group = worker.commits
        self._clock = worker.clock
        self._pool = worker.pool
        self._most = most

    async def record(
        self, make: Callable[[datetime], Made], *, must_agree: bool = False
    ) -> tuple[Made, int]:
        """Make an aggregate of a time, and record it; return its position, too.

        ``must_agree`` says that it is an order or an amend, see DatabaseClock. A stamp that the
        database refuses shows that its clock went back since the last measurement: measure, and
        try once more. Raise what EventRecorder.insert_events does, and Problem 503.
        """
        try:
            return await self._record(make, must_agree=must_agree)
        except StampAhead:
            await self._pool.run(self._clock.measure)
            return await self._record(make, must_agree=must_agree)

    async def record_all(
        self, make: Callable[[datetime], Sequence[Made]]
    ) -> tuple[Sequence[Made], Sequence[int]]:
        """Do so with many orders, all or none; they are made in the pool."""
        try:
            return await self._record_all(make)
        except StampAhead:
            await self._pool.run(self._clock.measure)
            return await self._record_all(make)

    async def _record(
        self, make: Callable[[datetime], Made], *, must_agree: bool
    ) -> tuple[Made, int]:
        time = await self._time(must_agree=must_agree)
        made = make(time)
        [position] = await self._commit(self._stored([made]), time)
        return made, position

    async def _record_all(
        self, make: Callable[[datetime], Sequence[Made]]
    ) -> tuple[Sequence[Made], Sequence[int]]:
        time = await self._time(must_agree=True)

        def prepare() -> tuple[Sequence[Made], list[StoredEvent]]:
            made = make(time)
            return made, self._stored(made)

        made, stored = await self._pool.run(prepare)
        return made, await self._commit(stored, time)

    def _stored(self, made: Sequence[Made]) -> list[StoredEvent]:
        return [self._to_stored(event) for each in made for event in each.collect_events()]

    async def _commit(self, stored: list[StoredEvent], stamp: datetime) -> Sequence[int]:
        if self._group.callers >= self._most:
            raise Problem(503, "Too many requests wait for a commit; nothing was changed")
        return await self._group.record(stored, stamp)

    async def _time(self, *, must_agree: bool) -> datetime:
        time_of = self._clock.agreed_now if must_agree else self._clock.now
        if self._clock.is_measured:
            return time_of()
        return await self._pool.run(time_of)
