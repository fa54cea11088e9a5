"""How far matching is behind, and the limit from which on nothing new is taken."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from application.matching import Matching
from application.orders import Orders
from interface.http.problems import Problem

_MEASURE_EVERY_SECONDS: Final = 0.25


class Lag:
    """Matching's lag, measured by the requests themselves, a few times a second at most."""

    def __init__(self, matching: Matching, clock: Callable[[], datetime], limit: timedelta) -> None:
        self._matching = matching
        self._clock = clock
        self.limit = limit
        self._measuring = threading.Lock()
        self._due = 0.0
        self._last = timedelta(0)

    def is_too_long(self) -> bool:
        return self._measured() > self.limit

    def check(self) -> None:
        """Raises Problem 503 while matching is too far behind."""
        if self.is_too_long():
            raise Problem(
                503,
                f"Matching is more than {self.limit.total_seconds():g} s behind;"
                " cancels are still taken",
            )

    def _measured(self) -> timedelta:
        # While one measures, which takes long when PostgreSQL is away, the others go by
        # what was measured last.
        if time.monotonic() >= self._due and self._measuring.acquire(blocking=False):
            try:
                self._last = self._matching.lag(Orders.name, self._clock())
                self._due = time.monotonic() + _MEASURE_EVERY_SECONDS
            finally:
                self._measuring.release()
        return self._last
