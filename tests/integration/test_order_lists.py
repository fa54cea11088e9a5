"""Lists of orders in PostgreSQL: exact between two times, and as short as what they show."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import psycopg
import pytest

from application.persistence.connection import connect
from application.views.order_pages import OrderFilter
from application.views.order_rows import ENDED_STATUSES, OPEN_STATUSES, STRETCH
from application.views.orders import OrderView, OrderViewRecorder
from application.views.view import ALONG_AN_INDEX
from domain.order import Order
from domain.values import OrderStatus, Side, Terms
from tests.domain.support import order_id, seconds
from tests.integration.test_view_tables import made, select, write


def placed(number: int, time: datetime, user: str = "user") -> Any:
    """The event of an order that is placed, the n-th; whatever time its host takes it for."""
    terms = Terms(user, "BTC-USD", Side.BUY, 100, 5)
    return Order.place(order_id(str(number)), terms, time).collect_events()[0]


CLOCKS_ARE_WRONG = {10: 3, 50: -3, 90: 3}  # of which orders, by how many hours


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_times_are_exact_whatever_the_clocks_were(library_env: dict[str, str], batch: int) -> None:
    chance = random.Random(batch)
    times = [
        seconds(number)
        + timedelta(hours=CLOCKS_ARE_WRONG.get(number, chance.uniform(-1, 1) / 3600))
        for number in range(120)
    ]
    positions = [1 + number * STRETCH // 30 for number in range(120)]  # in four stretches
    orders = list(zip(positions, times, strict=True))
    entries = [(position, placed(number, time)) for number, (position, time) in enumerate(orders)]
    since = None
    bounds = [None, *(seconds(second) for second in (-9_999, 0, 30, 80, 11_000)), times[40]]
    with made(OrderView, library_env) as recorder:
        for start in range(0, len(entries), batch):
            since = write(recorder, entries[start : start + batch], since)
        for first, last in product(bounds, repeat=2):
            expected = [
                position
                for position, time in reversed(orders[:100])
                if (first is None or time >= first) and (last is None or time < last)
            ]
            for statuses in (None, OPEN_STATUSES, {OrderStatus.PENDING, OrderStatus.FILLED}):
                for user, asset in product(("user", None), ("BTC-USD", None)):
                    wanted = OrderFilter(user, asset, statuses, first, last)
                    rows = recorder.orders(wanted, before=positions[100], limit=1_000)
                    assert [row.position for row in rows] == expected
            wanted = OrderFilter("user", None, ENDED_STATUSES, first, last)
            assert recorder.orders(wanted, limit=1_000) == []


def test_a_period_that_grows_is_rarely_written(library_env: dict[str, str]) -> None:
    """Each version of its row would be read by whoever asks between two times."""
    since = None
    versions = set()
    with made(OrderView, library_env) as recorder:
        for number in range(200):
            since = write(recorder, [(number + 1, placed(number, seconds(number)))], since)
            [row] = select(library_env, "SELECT earliest, latest FROM order_view.periods")
            assert row["earliest"] == seconds(0)
            versions.add(row["latest"])
    assert len(versions) <= 10


MANY = """
    INSERT INTO order_view.orders
    SELECT md5(n::text)::uuid, CASE WHEN n % 1000 = 0 OR n > 38000 THEN 'rare' ELSE 'many' END, 'A',
        'BUY', 'LIMIT', 'GTC', 1, 1, 0, 0, CASE WHEN n % 500 = 1 THEN 'OPEN' ELSE 'FILLED' END,
        NULL, NULL, NULL, false, NULL, false, NULL, NULL, 'NONE', NULL,
        timestamptz '{start}' + n * interval '1 second', now(), 3 * n
    FROM generate_series(1, 40000) AS n;
    INSERT INTO order_view.open_orders
    SELECT position, user_id, asset FROM order_view.orders WHERE status = 'OPEN';
    INSERT INTO order_view.periods
    SELECT position / {stretch}, min(created_at), max(created_at)
    FROM order_view.orders GROUP BY 1"""
NO_STATISTICS = """DELETE FROM pg_statistic WHERE starelid IN (
    SELECT oid FROM pg_class WHERE relnamespace = 'order_view'::regnamespace)"""


@pytest.fixture
def recorder(library_env: dict[str, str]) -> Iterator[OrderViewRecorder]:
    """A view of 40 000 orders, nearly all of them of one user, of which 80 are open."""
    with made(OrderView, library_env) as recorder, connect(library_env) as connection:
        filled = MANY.format(start=seconds(0).isoformat(), stretch=STRETCH)
        connection.execute(filled.encode())
        yield recorder


@pytest.mark.parametrize("statistics", ["ANALYZE", NO_STATISTICS], ids=["analyzed", "unknown"])
def test_a_page_costs_what_it_shows_whatever_the_planner_knows(
    library_env: dict[str, str], recorder: OrderViewRecorder, statistics: str
) -> None:
    first, last = seconds(20_000), seconds(20_100)
    with connect(library_env) as connection:
        connection.execute("ANALYZE order_view.orders, order_view.open_orders")
        connection.execute(statistics.encode())
        for wanted in (
            OrderFilter("many", None, OPEN_STATUSES),
            OrderFilter("many", None, {OrderStatus.OPEN}),
            OrderFilter("many", "A", OPEN_STATUSES),
            OrderFilter(None, "A", OPEN_STATUSES),
            OrderFilter(None, None, OPEN_STATUSES),
            OrderFilter("nobody", None, OPEN_STATUSES),
            OrderFilter("many"),
            OrderFilter("rare"),
            OrderFilter("many", "A"),
            OrderFilter("many", None, {OrderStatus.OPEN, OrderStatus.FILLED}),
            OrderFilter("many", None, None, first, last),
            OrderFilter(None, "A", None, first, last),
            OrderFilter(None, None, OPEN_STATUSES, first, last),
        ):
            statement, parameters = wanted.page(None, limit=20)
            explained = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + recorder.sql(statement)
            with psycopg.ClientCursor(connection) as cursor:
                cursor.execute(ALONG_AN_INDEX + explained, parameters)
                cursor.nextset()
                [[plan]] = [row.values() for row in cursor]
            blocks = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
            assert blocks < 250, (wanted, blocks)  # the table has 1 300, each of its indexes 200
