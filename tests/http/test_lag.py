"""The lag of matching, as requests measure it and go by it."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from interface.http import lag as lags
from interface.http.lag import Lag
from interface.http.pool import Pool
from interface.http.problems import Problem

LIMIT = timedelta(seconds=5)
BEHIND, UP_TO_DATE = [timedelta(seconds=6)], [timedelta(0)]


class Measured:
    """A matching that is behind, and later is not: then to measure it takes until ``go_on``."""

    def __init__(self) -> None:
        self.is_asked, self.go_on = threading.Event(), threading.Event()
        self._answers = self._measure()

    def lags(self, *_: object) -> list[timedelta]:
        return next(self._answers)

    def _measure(self) -> Iterator[list[timedelta]]:
        yield BEHIND
        self.is_asked.set()
        self.go_on.wait()
        yield UP_TO_DATE


def worker(matching: Measured, pool: Pool) -> Any:
    clock = SimpleNamespace(now=lambda: datetime(2024, 2, 9, tzinfo=UTC))
    market = SimpleNamespace(matching=matching)
    return SimpleNamespace(market=market, clock=clock, pool=pool)


@pytest.mark.parametrize(("seconds", "is_refused"), [(1, True), (60, False)])
def test_while_one_measures_others_are_refused_by_a_recent_measurement_only(
    monkeypatch: pytest.MonkeyPatch, seconds: int, *, is_refused: bool
) -> None:
    now = [1000.0]
    monkeypatch.setattr(lags, "time", SimpleNamespace(monotonic=lambda: now[0]))
    matching = Measured()

    async def scenario() -> None:
        pool = Pool(2)
        lag = Lag(worker(matching, pool), LIMIT)
        with pytest.raises(Problem, match="behind"):
            await lag.check("BTC-USD")
        now[0] += seconds
        measuring = asyncio.create_task(lag.is_too_long())
        await pool.run(matching.is_asked.wait)
        try:
            assert await lag.is_too_long() is is_refused
        finally:
            matching.go_on.set()
        assert not await measuring
        assert not await lag.is_too_long()
        pool.close()

    asyncio.run(scenario())


def test_a_request_that_comes_soon_after_a_measurement_waits_for_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(lags, "time", SimpleNamespace(monotonic=lambda: now[0]))
    matching = Measured()

    async def scenario() -> None:
        pool = Pool(2)
        lag = Lag(worker(matching, pool), LIMIT)
        assert await lag.is_too_long()
        now[0] += 0.3
        assert await lag.is_too_long()  # by the last one, while the next is made
        await pool.run(matching.is_asked.wait)
        matching.go_on.set()
        await asyncio.gather(*asyncio.all_tasks() - {cast("Any", asyncio.current_task())})
        assert not await lag.is_too_long()
        pool.close()

    asyncio.run(scenario())
