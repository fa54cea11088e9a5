"""The books whose time is ahead of the database's, as a wrong clock once left them.

Today's commands can't move a book ahead by more than the bound. So all books are read once, and
again where the database's clock has gone back. Those that are ahead are read more often, since an
operator may reset them; no query is needed to see that a time has passed.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from application.matching import Matching
from application.persistence.database_clock import DatabaseClock
from domain.values import book_id, venue_id

_LOOK_AGAIN_SECONDS: Final = 3600.0
_PAGE: Final = 2_000  # books that one query reads: no snapshot is held for long
_KNOWN: Final = 100  # of those that are ahead, how many are read again each time


class BooksAhead:
    """The times of the books that are ahead: one thread calls ``look``, any may read them."""

    def __init__(self, matching: Matching, clock: DatabaseClock) -> None:
        self._matching = matching
        self._clock = clock
        self._due = 0.0
        self._jumps = 0  # of the database's clock, when all books were looked at
        self._times: dict[str, datetime] = {}  # by asset, the one looked at last at the end

    def look(self) -> None:
        """Find the books that are ahead. While the clocks disagree, none can be found."""
        if self._clock.fault():
            return
        jumps = self._clock.jumps_believed
        if time.monotonic() < self._due and jumps == self._jumps:
            self._look_at_known()
            return
        self._times = dict(self._all())
        self._jumps = jumps
        self._due = time.monotonic() + _LOOK_AGAIN_SECONDS

    def times(self) -> Mapping[str, datetime]:
        """Return, by asset, the moment at which each book that is ahead will no longer be."""
        if not self._times or self._clock.fault():
            return {}
        limit = self._limit()
        ahead = {asset: until for asset, until in self._times.items() if until > limit}
        return dict(sorted(ahead.items()))

    def _look_at_known(self) -> None:
        limit = self._limit()
        times = dict(self._times)
        for asset in list(islice(times, _KNOWN)):
            del times[asset]
            for event in self._matching.events.get(book_id(asset), desc=True, limit=1):
                until: datetime = event.timestamp  # type: ignore[attr-defined]
                if until > limit:
                    times[asset] = until
        self._times = times

    def _all(self) -> Iterator[tuple[str, datetime]]:
        """Read the last event of every book."""
        limit = self._limit()
        below: UUID | None = None
        while page := self._matching.recorder.select_head_times(below, _PAGE):
            for identifier, until in page:
                if until > limit and identifier != venue_id():
                    yield self._asset_of(identifier), until
            below = page[-1][0]

    def _asset_of(self, identifier: UUID) -> str:
        event: Any = next(iter(self._matching.events.get(identifier, desc=True, limit=1)))
        asset: str = event.asset
        return asset

    def _limit(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._clock.max_ahead_seconds)
