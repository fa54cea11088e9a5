"""What the baseline writes in binary is what PostgreSQL reads."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from benchmarks.raw_rows import array, copy, order_row

ORDER = UUID(int=7)
TIME = datetime(2024, 2, 9, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def cursor(market_template, database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection.cursor()


@pytest.mark.parametrize("notional", [0, 1, 9_999, 10_000, 123_456_789, 10**22 + 1])
def test_an_order(cursor, notional):
    row = order_row(ORDER.bytes, "user-1", "A", "BUY", 5, 6, 4, notional, "OPEN", TIME, TIME, 9)
    copy(cursor, "order_view.orders", [row])
    assert cursor.execute("SELECT * FROM order_view.orders").fetchall() == [
        (
            *(ORDER, "user-1", "A", "BUY", "LIMIT", "GTC", 5, 6, 4, Decimal(notional)),
            *("OPEN", None, None, None, False, None, False, None, None, "NONE", None),
            *(TIME, TIME, 9),
        )
    ]


def test_an_array(cursor):
    assert cursor.execute("SELECT %s::bigint[]", [array([1, 2])]).fetchone() == ([1, 2],)
    assert cursor.execute("SELECT %s::uuid[]", [array([ORDER])]).fetchone() == ([ORDER],)
    assert cursor.execute("SELECT %s::text[]", [array([])]).fetchone() == ([],)
