"""Verification and snapshots: they are verified, and they save most of the work.

To prove the whole of a large log takes hours. To decide again what came after the newest
snapshots takes minutes; that assumes the snapshots to be right, and proves no read models.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast
from uuid import UUID

from application.differences import (
    Inconsistent,
    Progress,
    compare,
    decide_again,
    faults_are_differences,
)
from application.matching import Matching
from application.orders import Orders
from application.persistence.snapshot import Snapshot
from application.persistence.user_assets import MatchingRecorder
from application.verify_user_assets import verify_open_orders
from domain.order_book import OrderBook

_AT_A_TIME: Final = 1_000  # decisions whose commands are read together


class KeptSnapshots:
    """A comparison of the stored snapshots of books with the books, decided again up to there."""

    def __init__(self, moment: Snapshot, matching: Matching) -> None:
        self._moment = moment
        self._matching = matching
        self._left = moment.versions_kept(matching.snapshots.recorder)

    def compare(self, book: OrderBook) -> None:
        """Raise Inconsistent where a snapshot of this version differs from this book."""
        place = (book.id, book.version)
        if place not in self._left:
            return
        self._left.remove(place)
        matching = self._matching
        found = self._moment.kept(matching.snapshots.recorder, matching.mapper, *place)
        if found != OrderBook.Snapshot.take(book):  # too large to be shown
            raise Inconsistent(
                f"snapshot of {book.asset} at version {book.version}: it is not the book as it was"
            )

    def check_that_all_were_compared(self) -> None:
        for book, version in self._left:
            raise Inconsistent(f"snapshot of the book {book} at version {version}: it had none")


class RecentVerifier:
    """A verification of the decisions after the newest snapshots of the books."""

    def __init__(
        self,
        moment: Snapshot,
        orders: Orders,
        matching: Matching,
        progress: Progress = lambda _: None,
    ) -> None:
        self._moment = moment
        self._orders = orders
        self._matching = matching
        self._progress = progress
        self._last = "the snapshots"
        self._books: dict[UUID, OrderBook] = {}
        self._opened: dict[UUID, OrderBook.Created] = {}

    def length(self) -> int:
        """Return the number of steps of the whole, to show progress."""
        matching = self._matching
        return self._moment.count_since(matching.recorder, matching.snapshots.recorder)

    def verify(self) -> None:
        """Verify recent decisions. Raises Inconsistent. Keeps every book that decided in memory."""
        with faults_are_differences(lambda: self._last):
            venue = self._matching.venue()  # it says what held when
            for decision, command in self._decisions():
                if command is None:
                    raise Inconsistent(f"Matching log: nothing was asked that led to {decision}")
                book = self._book_before(decision, command)
                decide_again(book, decision.position, command, decision, venue)
            recorder = cast("MatchingRecorder", self._matching.recorder)
            verify_open_orders(self._moment, recorder, self._books.values())

    def _decisions(self) -> Iterator[tuple[Any, Any]]:
        """Each decision with the command that stands where it says."""
        matching, orders = self._matching, self._orders
        log = self._moment.log_since(
            matching.recorder, matching.snapshots.recorder, matching.mapper
        )
        while entries := list(islice(log, _AT_A_TIME)):
            asked = [event.position for _, event in entries if hasattr(event, "position")]
            commands = dict(self._moment.log_at(orders.recorder, orders.mapper, asked))
            for position, event in entries:
                if isinstance(event, OrderBook.Created):
                    self._opened[event.originator_id] = event
                elif isinstance(event, OrderBook.Decided):
                    yield event, commands.get(event.position)
                self._last = f"{Matching.name} {position}"
                self._progress(1)

    def _book_before(self, decision: OrderBook.Decided, command: Any) -> OrderBook:
        """The book that made the decision: opened by its command, or as of its snapshot."""
        identifier = decision.originator_id
        book = self._books.get(identifier)
        if book is None:
            opened = self._opened.pop(identifier, None)
            if opened is not None:
                book = OrderBook.open(command.asset, command.timestamp)
                compare("Matching", opened, *book.collect_events())
            else:
                book = self._snapshot_before(decision).mutate(None)
            self._books[identifier] = book
        return book

    def _snapshot_before(self, decision: OrderBook.Decided) -> OrderBook.Snapshot:
        version = decision.originator_version - 1
        store, mapper = self._matching.snapshots.recorder, self._matching.mapper
        snapshot = self._moment.kept(store, mapper, decision.originator_id, version)
        if not isinstance(snapshot, OrderBook.Snapshot):
            raise Inconsistent(f"Matching log: nothing stands before {decision}")
        return snapshot
