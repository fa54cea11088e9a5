"""The lag of matching, and the limit from which on no new order is taken."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from application.orders import Orders
from application.persistence.partitions import partition_of
from interface.http.problems import Problem
from interface.http.worker import Worker

_MEASURE_EVERY_SECONDS: Final = 0.25
_OLD_SECONDS: Final = 2.0
_UNKNOWN: Final = (timedelta(0),)


class Lag:
    """The lag of Matching, measured by the requests themselves, a few times a second at most."""

    def __init__(self, worker: Worker, limit: timedelta) -> None:
        self._matching = worker.market.matching
        self._clock = worker.clock
        self._pool = worker.pool
        self._limit = limit
        self._measuring: asyncio.Task[None] | None = None
        self._due = 0.0
        self._last = [timedelta(0)]  # in each partition

    async def is_too_long(self) -> bool:
        """Test if it is for some asset."""
        return max(await self._measured()) > self._limit

    async def check(self, *assets: str) -> None:
        """Raise Problem 503 while matching is too far behind with one of the assets."""
        lags = await self._measured()
        if any(lags[partition_of(asset, len(lags))] > self._limit for asset in assets):
            raise Problem(
                503,
                f"Matching is more than {self._limit.total_seconds():g} s behind;"
                " cancels are still taken",
            )

    async def _measured(self) -> Sequence[timedelta]:
        # While one measures, which takes long when the database is unavailable, the others go by
        # what was measured last. Where nobody has asked for a while, that says nothing any more,
        # and the one waits for its measurement.
        now = time.monotonic()
        if now >= self._due and self._measuring is None:
            self._measuring = measuring = asyncio.create_task(self._measure())
            measuring.add_done_callback(self._end)
            if now >= self._due + _MEASURE_EVERY_SECONDS:
                await asyncio.shield(measuring)
        is_old = time.monotonic() > self._due + _OLD_SECONDS
        return _UNKNOWN if is_old else self._last

    async def _measure(self) -> None:
        self._last = await self._pool.run(
            lambda: self._matching.lags(Orders.name, self._clock.now())
        )
        self._due = time.monotonic() + _MEASURE_EVERY_SECONDS

    def _end(self, measuring: asyncio.Task[None]) -> None:
        self._measuring = None
        if not measuring.cancelled():
            measuring.exception()  # a request that did not wait finds out by its commit
