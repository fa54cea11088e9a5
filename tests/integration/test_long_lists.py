"""Lists that take long leave connections to commits."""

from concurrent.futures import ThreadPoolExecutor

from tests.integration.conftest import Venue
from tests.integration.service import eventually

_WAITING = """SELECT count(*) AS count FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
_KEPT_FREE = 3


def test_lists_that_all_stand_still_leave_room_for_an_order(venue: Venue) -> None:
    venue.buy(100, 1)
    venue.settle()
    lists, pool = venue.market.order_view.recorder, venue.market.orders.recorder.datastore.pool
    with (
        ThreadPoolExecutor(2 * pool.max_size) as threads,
        venue.connect() as locking,
        venue.connect() as looking,
    ):

        def waiting() -> int:
            [row] = looking.execute(_WAITING).fetchall()
            return int(row["count"])

        with locking.transaction():
            locking.execute("LOCK TABLE order_view.orders IN ACCESS EXCLUSIVE MODE")
            reading = [threads.submit(lists.orders, limit=1) for _ in range(2 * pool.max_size)]
            eventually(lambda: waiting() == pool.max_size - _KEPT_FREE, 30)
            placed = venue.buy(99, 1)
            assert waiting() == pool.max_size - _KEPT_FREE
        assert venue.market.orders.get(placed).id == placed
        assert {len(each.result()) for each in reading} == {1}
