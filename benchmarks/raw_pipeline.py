"""The baseline: the leanest code that stores the same facts with the same guarantees.

psycopg, msgspec, and nothing of ours but the tables: the same event rows, positions moved by
compare-and-set in the same transactions, the table lock that keeps commits in the order of
their ids, the same rows in the views, written after what they show is committed. One process
places, one is the engine, where threads hand each other what they have committed.

It knows limit orders only, and begins with an empty database: coming back after a crash,
which all this would allow, is left out, for it would not make a run slower.
"""

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from queue import SimpleQueue
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg

from benchmarks import raw_views
from benchmarks.placing import serve
from benchmarks.raw_book import Book, Change, Decision, Order
from benchmarks.raw_events import BookOpened, Filled, Matched, Opened, Placed
from benchmarks.raw_rows import event_row
from benchmarks.raw_store import append, move, start
from benchmarks.raw_views import Piece
from benchmarks.running import Child
from benchmarks.workload import NewOrder
from domain.values import book_id

_LOOK_ANYWAY_SECONDS = 1

_WAITING: Final = """
    SELECT notification_id, uuid_send(originator_id), originator_id::text, state
    FROM orders_events WHERE notification_id > %s AND topic = 'order.placed'
    ORDER BY notification_id LIMIT %s"""

_encode = msgspec.json.Encoder().encode
_decode_placed = msgspec.json.Decoder(Placed).decode

_placed_row = event_row("order.placed")
_opened_row = event_row("order.opened")
_filled_row = event_row("order.filled")
_book_opened_row = event_row("book.opened")
_matched_row = event_row("book.matched")


def engine(url: str, batch: int) -> Child:
    return Child(["benchmarks.raw_pipeline", "engine", url, str(batch)])


def place_orders(url: str) -> None:
    """Is the placing process."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()

        def place(batch: Sequence[NewOrder]) -> int:
            now = datetime.now(UTC)
            rows = [placed_row(order.order_id, Placed(now, *order[1:])) for order in batch]
            return append(cursor, "orders_events", rows)

        serve(lambda order: order, place)


class Engine:
    """Its threads, and the queues between them."""

    def __init__(self, url: str, batch: int) -> None:
        self._url = url
        self._batch = batch
        self._decided: SimpleQueue[Piece] = SimpleQueue()  # for Orders' follower
        self._matching: SimpleQueue[Piece] = SimpleQueue()  # the log of Matching, for its views
        self._orders: SimpleQueue[Piece] = SimpleQueue()  # the log of Orders, for its view

    def run(self) -> None:
        works: list[tuple[Callable[..., None], Any]] = [
            (self._match, None),
            (self._record, None),
            (raw_views.follow_matching, self._matching),
            (raw_views.follow_orders, self._orders),
        ]
        threads = [threading.Thread(target=self._work, args=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, work: Callable[..., None], queue: Any) -> None:
        """Run a thread's work; the process ends with it."""
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                cursor = connection.cursor()
                work(*(argument for argument in (cursor, queue) if argument is not None))
        except BaseException:  # noqa: BLE001 - told, and the process goes down
            traceback.print_exc()
            os._exit(1)

    def _match(self, cursor: psycopg.Cursor) -> None:
        """Is Matching."""
        table = "matching_tracking"
        start(cursor, table, "Orders")
        books: dict[str, Book] = {}
        since = 0
        with psycopg.connect(self._url, autocommit=True) as listening:
            listening.execute("LISTEN orders_events")
            while True:
                orders = [
                    Order(position, order_id, text, _decode_placed(state))
                    for position, order_id, text, state in cursor.execute(
                        _WAITING, (since, self._batch), prepare=True, binary=True
                    )
                ]
                if not orders:
                    list(listening.notifies(timeout=_LOOK_ANYWAY_SECONDS, stop_after=1))
                    continue
                rows, decisions = decide(books, orders)
                to = orders[-1].position
                last = append(cursor, "matching_events", rows, move(table, "Orders", since, to))
                since = to
                first = last - len(rows) + 1
                placed = [(first + index, decision) for index, decision in decisions]
                self._decided.put(Piece(first, last, placed))
                self._matching.put(Piece(first, last, placed))
                for piece in _without_gaps(orders):
                    self._orders.put(piece)

    def _record(self, cursor: psycopg.Cursor) -> None:
        """Is Orders' follower of Matching."""
        table = "orders_tracking"
        start(cursor, table, "Matching")
        since = 0
        while True:
            _, to, decisions = self._decided.get()
            rows = []
            changes = []
            for _, decision in decisions:
                for change in decision.changes:
                    rows.append(order_event(change, decision))
                    changes.append((change, decision.time))
            last = append(cursor, "orders_events", rows, move(table, "Matching", since, to))
            since = to
            self._orders.put(Piece(last - len(rows) + 1, last, changes))


def placed_row(order_id: UUID, placed: Placed) -> bytes:
    return _placed_row(order_id.bytes, 1, _encode(placed))


def decide(
    books: dict[str, Book], orders: list[Order]
) -> tuple[list[bytes], list[tuple[int, Decision]]]:
    """The rows of the books' events, and the decisions with their places among the rows."""
    rows: list[bytes] = []
    decisions: list[tuple[int, Decision]] = []
    for order in orders:
        placed = order.placed
        asset = placed.asset
        book = books.get(asset)
        if book is None:
            book = books[asset] = Book(placed.timestamp)
            state = BookOpened(timestamp=placed.timestamp, asset=asset)
            rows.append(_book_opened_row(_book_id(asset), 0, _encode(state)))
        decision = book.place(order)
        matched = Matched(
            decision.time,
            asset,
            order.position,
            order.text,
            placed.user_id,
            placed.side,
            placed.price,
            placed.quantity,
            decision.fills,
            rested=order.remaining,
            shown=order.remaining,
        )
        decisions.append((len(rows), decision))
        rows.append(_matched_row(_book_id(asset), decision.version, _encode(matched)))
    return rows, decisions


def order_event(change: Change, decision: Decision) -> bytes:
    order = change.order
    placed = order.placed
    facts = (decision.time, placed.user_id, placed.asset, decision.version, change.status)
    if change.fills:
        return _filled_row(order.id, change.version, _encode(Filled(*facts, change.fills)))
    return _opened_row(order.id, change.version, _encode(Opened(*facts)))


@cache
def _book_id(asset: str) -> bytes:
    return book_id(asset).bytes


def _without_gaps(orders: list[Order]) -> Iterator[Piece]:
    """Other events may stand between the orders of a batch."""
    runs = groupby(enumerate(orders), key=lambda pair: pair[1].position - pair[0])
    for _, run in runs:
        items = [order for _, order in run]
        yield Piece(items[0].position, items[-1].position, items)


if __name__ == "__main__":
    gc.disable()
    if sys.argv[1] == "engine":
        Engine(sys.argv[2], int(sys.argv[3])).run()
    else:
        place_orders(sys.argv[2])
