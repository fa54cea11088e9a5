"""The clock: it asks that orders leave whose time is over.

Nothing depends on its being on time: a book lets no order trade past its time. Its requests are
in the log like any others; repeated, they change nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import uuid4

from application.default_limits import record_default_limits
from application.orders import Orders
from application.persistence.database_clock import (
    MEASURE_SECONDS,
    ClocksDisagree,
    DatabaseClock,
    TimeUnknown,
    ask_time,
    max_ahead_seconds,
)
from application.persistence.error_words import in_words
from application.persistence.standstills import WorkerState
from application.views.books import BookView
from domain.requests import ExpiryRequest
from system import build_alone

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
# A request may take this long: Matching, or the view that the clock looks at, may be behind.
_AGAIN_SECONDS: Final = 60.0
_AFTER_FAULT_SECONDS: Final = 1.0
_USER: Final = "clock"


class _Asked(NamedTuple):
    """The latest end that was due in an asset when it was asked about, and when that was."""

    latest: datetime
    at: float


class Clock(threading.Thread):
    """A loop that looks for what is due, until ``stopping`` is set, while ``is_our_turn``."""

    def __init__(
        self,
        env: Mapping[str, str],
        stopping: threading.Event,
        is_our_turn: Callable[[], bool],
        ask: Callable[[Any], float] = ask_time,
        state: WorkerState | None = None,
    ) -> None:
        """``ask`` returns the database's time, through a recorder."""
        super().__init__(name="clock", daemon=True)
        self._env = env
        self._stopping = stopping
        self._is_our_turn = is_our_turn
        self._state = state
        self._asked: dict[str, _Asked] = {}
        self._has_limits = False  # whether the default limits are known to be on record
        # Its estimate outlives the pool that it asks through: a database that comes back
        # with another time is not believed.
        self._recorder: Any = None
        self._time = DatabaseClock(lambda: ask(self._recorder), max_ahead_seconds(env))

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - whatever it is, time goes on
                log.warning("the clock waits", extra={"error": str(error).strip()})
                if self._state is not None and self._is_our_turn():
                    self._state.fails(f"orders past their time stay: {in_words(error)}")
                self._stopping.wait(_AFTER_FAULT_SECONDS)

    def _work(self) -> None:
        with (
            closing(build_alone(self._env, Orders)) as orders,
            closing(build_alone(self._env, BookView)) as books,
        ):
            self._asked.clear()
            self._recorder = orders.recorder
            measured = float("-inf")
            while not self._stopping.wait(_LOOK_SECONDS):
                if time.monotonic() - measured >= MEASURE_SECONDS:
                    self._time.measure()
                    measured = time.monotonic()
                if self._is_our_turn():
                    self._ask_for_what_is_due(orders, books)
                    if self._state is not None:
                        self._state.works()

    def _ask_for_what_is_due(self, orders: Orders, books: BookView) -> None:
        """Record a request for each asset in which orders are past their time.

        While the clocks disagree nobody knows which these are, so nothing is asked for.
        """
        try:
            now = self._time.agreed_now()
        except (ClocksDisagree, TimeUnknown):
            return
        if not self._has_limits:
            record_default_limits(orders, now)
            self._has_limits = True
        due = self._new(books.recorder.due_assets(now))
        if due:
            orders.ask_all(
                [ExpiryRequest.make(uuid4(), user_id=_USER, asset=asset, time=now) for asset in due]
            )

    def _new(self, due: Mapping[str, datetime]) -> list[str]:
        """The assets in which more is due than was asked for already."""
        now = time.monotonic()
        new = {
            asset: _Asked(latest, now)
            for asset, latest in due.items()
            if (asked := self._asked.get(asset)) is None
            or latest > asked.latest
            or now - asked.at > _AGAIN_SECONDS
        }
        self._asked = {asset: self._asked[asset] for asset in due if asset in self._asked} | new
        return list(new)
