"""Reads that take long leave connections to commits."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from system import Market
from tests.integration.conftest import Venue
from tests.integration.service import eventually

_WAITING = """SELECT count(*) AS count FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
_KEPT_FREE = 3


@pytest.mark.parametrize(
    ("table", "read"),
    [
        ("order_view.orders", lambda market: market.order_view.recorder.orders(limit=1)),
        (
            "book_view.resting_orders",
            lambda market: market.book_view.recorder.resting("BTC-USD", None),
        ),
        ("matching_snapshots", lambda market: market.matching.book_at("BTC-USD", 1)),
    ],
    ids=["list", "level 3", "version"],
)
def test_long_reads_that_all_stand_still_leave_room_for_an_order(
    venue: Venue, table: str, read: Callable[[Market], object]
) -> None:
    venue.buy(100, 1)
    venue.settle()
    pool = venue.market.orders.recorder.datastore.pool
    with (
        ThreadPoolExecutor(2 * pool.max_size) as threads,
        venue.connect() as locking,
        venue.connect() as looking,
    ):

        def waiting() -> int:
            [row] = looking.execute(_WAITING).fetchall()
            return int(row["count"])

        with locking.transaction():
            locking.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
            reading = [threads.submit(read, venue.market) for _ in range(2 * pool.max_size)]
            eventually(lambda: waiting() == pool.max_size - _KEPT_FREE, 30)
            placed = venue.buy(99, 1)
            assert waiting() == pool.max_size - _KEPT_FREE
        assert venue.market.orders.get(placed).id == placed
        assert all(each.result() for each in reading)
