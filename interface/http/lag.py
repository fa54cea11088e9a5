"""The lag of matching, and the limit from which on no new order is taken."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from application.matching import Matching
from application.orders import Orders
from application.persistence.database_clock import DatabaseClock
from application.persistence.partitions import partition_of
from interface.http.problems import Problem

_MEASURE_EVERY_SECONDS: Final = 0.25
_OLD_SECONDS: Final = 2.0
_UNKNOWN: Final = (timedelta(0),)


class Lag:
    """The lag of Matching, measured by the requests themselves, a few times a second at most."""

    def __init__(self, matching: Matching, clock: DatabaseClock, limit: timedelta) -> None:
        self._matching = matching
        self._clock = clock
        self._limit = limit
        self._measuring = threading.Lock()
        self._due = 0.0
        self._last = [timedelta(0)]  # in each partition

    def is_too_long(self) -> bool:
        """Test if it is for some asset."""
        return max(self._measured()) > self._limit

    def check(self, *assets: str) -> None:
        """Raise Problem 503 while matching is too far behind with one of the assets."""
        lags = self._measured()
        if any(lags[partition_of(asset, len(lags))] > self._limit for asset in assets):
            raise Problem(
                503,
                f"Matching is more than {self._limit.total_seconds():g} s behind;"
                " cancels are still taken",
            )

    def _measured(self) -> Sequence[timedelta]:
        # While one measures, which takes long when the database is unavailable, the others go by
        # what was measured last. Where nobody has asked for a while, that says nothing any more.
        if time.monotonic() >= self._due and self._measuring.acquire(blocking=False):
            try:
                self._last = self._matching.lags(Orders.name, self._clock.now())
                self._due = time.monotonic() + _MEASURE_EVERY_SECONDS
            finally:
                self._measuring.release()
        is_old = time.monotonic() > self._due + _OLD_SECONDS
        return _UNKNOWN if is_old else self._last
