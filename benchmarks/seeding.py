"""Logs of any length in little time: what the engine would have stored, written by COPY.

The views are left empty, and every follower stands at the end of its leader's log.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from random import Random
from uuid import UUID

import psycopg

from benchmarks.raw_book import Book, Order
from benchmarks.raw_events import Placed
from benchmarks.raw_pipeline import decide, order_event, placed_row
from benchmarks.raw_store import append
from benchmarks.workload import DEPTH, LOT, MIDDLE, TICK, NewOrder

_BATCH = 10_000

_FOLLOWERS = (
    ("matching_tracking", "Orders"),
    ("orders_tracking", "Matching"),
    ("order_view.orderview_tracking", "Orders"),
    ("order_view.orderview_tracking", "Matching"),
    ("book_view.bookview_tracking", "Matching"),
    ("trade_view.tradeview_tracking", "Matching"),
)


def resting(count: int, assets: int, seed: int = 1) -> Iterator[NewOrder]:
    """Orders that all rest, on ``DEPTH`` prices a side in each book."""
    random = Random(seed)
    for number in range(count):
        is_bid = random.random() < 0.5
        away = random.randint(1, DEPTH) * TICK
        yield NewOrder(
            UUID(int=random.getrandbits(128), version=4),
            f"user-{random.randrange(1_000):04d}",
            f"ASSET-{number % assets}",
            "BUY" if is_bid else "SELL",
            MIDDLE - away if is_bid else MIDDLE + away,
            random.randint(1, 100) * LOT,
        )


def seed(url: str, orders: Iterable[NewOrder], progress: Callable[[int], None]) -> None:
    """Fill the logs of Orders and Matching; the database has its tables, and nothing in them."""
    left = iter(orders)
    books: dict[str, Book] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        while batch := list(islice(left, _BATCH)):
            _store(cursor, batch, books)
            progress(len(batch))
        for table, leader in _FOLLOWERS:
            connection.execute(
                f"INSERT INTO {table} SELECT %s, max(notification_id) FROM {leader}_events",
                [leader],
            )
        connection.execute("VACUUM ANALYZE")


def _store(cursor: psycopg.Cursor, batch: list[NewOrder], books: dict[str, Book]) -> None:
    now = datetime.now(UTC)
    placed = [(order.order_id, Placed(now, *order[1:])) for order in batch]
    rows = [placed_row(order_id, state) for order_id, state in placed]
    first = append(cursor, "orders_events", rows) - len(rows) + 1
    live = [
        Order(first + index, order_id.bytes, str(order_id), state)
        for index, (order_id, state) in enumerate(placed)
    ]
    decided, decisions = decide(books, live)
    append(cursor, "matching_events", decided)
    append(
        cursor,
        "orders_events",
        [order_event(change, decision) for _, decision in decisions for change in decision.changes],
    )
