"""Whether the process lives, and whether the market works."""

from collections.abc import Iterator
from datetime import timedelta

from flask import Response

from application.persistence.connection import AWAY
from application.persistence.database_clock import DatabaseClock, TimeUnknown
from interface.http import presenting
from interface.http.problems import Problem
from system import Market, followings


class Health:
    """``limit`` is how far a follower may be behind before the market counts as not working."""

    def __init__(self, market: Market, clock: DatabaseClock, limit: timedelta) -> None:
        self._market = market
        self._clock = clock
        self._limit = limit

    def alive(self) -> Response:
        """200 whatever else is down: starting this process again would not help it."""
        return presenting.answer(200, {"status": "ok"})

    def ready(self) -> Response:
        """200 where orders are taken, matched and shown; else 503 with the reasons."""
        reasons = list(self._reasons())
        if reasons:
            raise Problem(503, "; ".join(reasons), reasons=reasons)
        return presenting.answer(200, {"status": "ready"})

    def _reasons(self) -> Iterator[str]:
        market = self._market
        try:
            for view in (market.order_view, market.book_view, market.trade_view):
                if parked := view.recorder.parked():
                    yield f"{view.name} is parked: {parked}"
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
