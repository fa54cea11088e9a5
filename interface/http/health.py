"""Health of the process, and readiness of the market."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from application.persistence.connection import AWAY
from application.persistence.database_clock import TimeUnknown
from application.persistence.standstills import Standstills, current
from interface.http import presenting
from interface.http.api import Answer
from interface.http.problems import Problem
from interface.http.worker import Worker
from interface.listening import PublishedLog
from interface.published_progress import PublishedProgress
from system import followings

_BOOKS_SHOWN: Final = 100  # of those that are ahead


class Health:
    """``limit`` is how far a follower may be behind before the market counts as not working.

    ``published`` are the logs that are published, if there is a Kafka to publish to.
    """

    def __init__(
        self,
        worker: Worker,
        limit: timedelta,
        books_ahead: Callable[[], Mapping[str, datetime]],
        published: Sequence[PublishedLog] = (),
    ) -> None:
        self._market = market = worker.market
        self._clock = worker.clock
        self._pool = worker.pool
        self._limit = limit
        self._books_ahead = books_ahead
        self._published = [
            PublishedProgress(log, leader.recorder)
            for log in published
            for leader in (market.orders, market.matching)
            if leader.name == log.leader
        ]
        self._standstills = Standstills(market.orders.recorder.datastore)

    async def alive(self) -> Answer:
        """200 whatever else is down: starting this process again would not help it."""
        return presenting.answer(200, {"status": "ok"})

    async def ready(self) -> Answer:
        """200 where orders are taken, matched and shown; else 503 with the reasons."""
        reasons = await self._pool.run(lambda: list(self._reasons()))
        ahead = self._books_ahead()
        if ahead:
            reasons.append(_books_ahead(ahead))
        if reasons:
            more: dict[str, Any] = {}
            if ahead:
                more["booksAhead"] = dict(islice(ahead.items(), _BOOKS_SHOWN))
            raise Problem(503, "; ".join(reasons), reasons=reasons, **more)
        return presenting.answer(200, {"status": "ready"})

    def _reasons(self) -> Iterator[str]:
        market = self._market
        try:
            for view in (market.order_view, market.book_view, market.trade_view):
                if parked := view.recorder.parked():
                    yield f"{view.name} is parked: {parked}"
            publishers = [each.publisher for each in self._published]
            shown = current(self._standstills.all(), publishers)
            yield from map(str, shown)
            standing = {standstill.worker for standstill in shown}
            for each in self._published:
                if each.publisher not in standing and (reason := each.standstill()):
                    yield reason
            now = self._clock.now()
            if fault := self._clock.fault():
                yield fault
            for follower, leader in followings(market):
                if max(follower.lags(leader, now)) > self._limit:
                    limit = self._limit.total_seconds()
                    yield f"{follower.name} is more than {limit:g} s behind"
        except TimeUnknown as error:
            yield str(error)
        except AWAY:
            yield "Database unavailable"


def _books_ahead(times: Mapping[str, datetime]) -> str:
    """The sentence about books whose time is ahead: which, until when, and what to do."""
    shown = [f"{asset} until {until.isoformat()}" for asset, until in islice(times.items(), 3)]
    if len(times) > len(shown):
        shown.append(f"{len(times) - len(shown)} more")
    return (
        "A wrong clock has set the time of these books ahead, so that orders with an end expire"
        f" early there: {', '.join(shown)}. Reset it with ome reset-time, see Time in"
        " docs/operations.md"
    )
