"""Whether the process lives, and whether the market works."""

from collections.abc import Iterator

from flask import Response

from interface.http import presenting
from interface.http.lag import Lag
from interface.http.problems import AWAY, Problem
from system import Market


class Health:
    def __init__(self, market: Market, lag: Lag) -> None:
        self._views = (market.order_view, market.book_view, market.trade_view)
        self._lag = lag

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
        try:
            for view in self._views:
                if parked := view.recorder.parked():
                    yield f"{view.name} is parked: {parked}"
            if self._lag.is_too_long():
                yield f"Matching is more than {self._lag.limit.total_seconds():g} s behind"
        except AWAY:
            yield "PostgreSQL is away"
