"""Proving the table of the assets in which users have orders, against the books."""

from collections.abc import Collection, Iterable
from typing import Final

from application.differences import same
from application.persistence.snapshot import Snapshot
from application.persistence.user_assets import COMPLETE, MatchingRecorder, Pair, of_book
from domain.order_book import OrderBook

_NAME: Final = "user assets of Matching"


def verify_user_assets(
    moment: Snapshot,
    recorder: MatchingRecorder,
    books: Collection[OrderBook],
    ordered: Collection[Pair],
) -> None:
    """Compare the table with all books, if it is complete.

    ``ordered``: the users and assets of all orders that the books have had. A row may outlive
    its user's orders, but none is of a user who never had any there. Raises Inconsistent.
    """
    rows = _rows(moment, recorder)
    if COMPLETE in rows:
        _compare_open(rows, books)
        known = {COMPLETE, *ordered, *(of_book(book.asset) for book in books)}
        same(_NAME, sorted(rows - known)[:1], [])


def verify_open_orders(
    moment: Snapshot, recorder: MatchingRecorder, books: Iterable[OrderBook]
) -> None:
    """Look for the rows of some books. Raises Inconsistent where one is missing."""
    rows = _rows(moment, recorder)
    if COMPLETE in rows:
        _compare_open(rows, books)


def _rows(moment: Snapshot, recorder: MatchingRecorder) -> set[Pair]:
    return {(row["user_id"], row["asset"]) for row in moment.rows(recorder.all_user_assets)}


def _compare_open(rows: Collection[Pair], books: Iterable[OrderBook]) -> None:
    for book in books:
        expected = {of_book(book.asset), *((user, book.asset) for user in book.floor.users())}
        same(_NAME, sorted(expected.intersection(rows)), sorted(expected))
