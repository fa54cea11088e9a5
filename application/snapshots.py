"""Taking snapshots of books, beside the market and without a word to it.

The books are built here from their events, as anybody could, so Matching has no part in it
and waits for nothing. A snapshot is due when a book has decided enough since its last one.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from application.matching import Matching
from application.persistence.book_snapshots import Kept
from application.persistence.connection import AWAY
from domain.order_book import OrderBook
from domain.values import venue_id

log = logging.getLogger(__name__)

# A snapshot costs what the book's size is, so the next one waits for an event for each so
# many bytes, which is one for every four resting orders: its share in the cost of an event
# stays bounded, and to replay what came after takes no longer than to read the snapshot.
BYTES_PER_EVENT: Final = 240

# All books that are kept alive between their snapshots have so many resting orders together;
# a larger one is read again each time.
MAX_LIVE_ORDERS: Final = 2_000_000


class SnapshotTaker:
    """The worker that keeps the newest snapshot of each book within ``every`` events or so."""

    def __init__(self, matching: Matching, every: int) -> None:
        self._matching = matching
        self._recorder = matching.snapshots.recorder
        self._every = every
        self._seen: int | None = None  # how far the log went when nothing more was due
        # The least recently used first.
        self._live: OrderedDict[UUID, OrderBook] = OrderedDict()

    def take_due(self) -> int:
        """Take the snapshots that are due; return their number.

        A fault of one book, or of its reading, doesn't stop the others.
        """
        end = self._matching.recorder.max_notification_id()
        if end == self._seen:
            return 0
        taken = 0
        for book in self._due():
            try:
                self._take(book)
                taken += 1
            except AWAY:
                raise
            except Exception:
                log.exception("no snapshot of a book", extra={"book": book})
        self._seen = end
        return taken

    def _due(self) -> list[UUID]:
        kept = self._recorder.kept()
        due = []
        heads = self._matching.recorder.select_heads()
        heads.pop(venue_id(), None)  # it is no book, and never large
        for book, version in heads.items():
            last = kept.get(book, Kept(version=0, size=0))
            if version - last.version >= max(self._every, last.size // BYTES_PER_EVENT):
                due.append(book)
        return due

    def _take(self, book_id: UUID) -> None:
        book = self._up_to_date(book_id)
        self._matching.snapshots.put([OrderBook.Snapshot.take(book)])
        self._recorder.delete(book_id, superfluous(self._recorder.versions(book_id)))
        log.info(
            "snapshot taken",
            extra={
                "asset": book.asset,
                "version": book.version,
                "resting_orders": len(book.book.orders),
            },
        )
        self._live[book_id] = book
        while sum(len(each.book.orders) for each in self._live.values()) > MAX_LIVE_ORDERS:
            self._live.popitem(last=False)

    def _up_to_date(self, book_id: UUID) -> OrderBook:
        """The book as its events have it now. After any error the live one is dropped."""
        book = self._live.pop(book_id, None)
        if book is None:
            return self._matching.load([book_id])[book_id]
        books = {book_id: book}
        self._matching.catch_up([book_id], books)
        return books[book_id]


def superfluous(versions: Sequence[int]) -> list[int]:
    """Return which of a book's snapshots, the oldest first, to delete.

    The newest two stay. Of the others the first stays in each stretch of versions, and a
    stretch is a quarter to a half as long as it is far back. So what was n commands ago is
    had again by about n events at most, and there are as many snapshots as the logarithm of
    the book's age has it, twice or three times. Stretches are as long as powers of two, and
    begin at multiples of them: what goes now would not have stayed later.
    """
    seen: set[tuple[int, int]] = set()
    going = []
    for version in versions[:-2]:
        length = 1 << max((versions[-1] - version).bit_length() - 2, 0)
        stretch = (length, version // length)
        if stretch in seen:
            going.append(version)
        seen.add(stretch)
    return going
