"""The baselines are honest: they store and show what the engine does, given the same orders."""

import os

import psycopg
import pytest

from benchmarks.pipeline import Load, run_in
from interface.database_url import database_env
from system import create_tables

ORDERS = 600

# Times and positions depend on the run; the limits are what an engine asks for when it starts.
SHOWN = {
    "orders": """SELECT to_jsonb(o) - ARRAY['created_at', 'updated_at', 'position']
                 FROM order_view.orders o ORDER BY order_id""",
    "trades": """SELECT asset, trade_id, price, quantity, maker_order_id, taker_order_id, taker_side
                 FROM trade_view.trades ORDER BY asset, trade_id""",
    "levels": "SELECT * FROM book_view.levels ORDER BY asset, side, price",
    "resting": "SELECT * FROM book_view.resting_orders ORDER BY order_id",
    "books": "SELECT * FROM book_view.books ORDER BY asset",
    "order events": """SELECT originator_id, originator_version, topic,
                              convert_from(state, 'UTF8')::jsonb - 'timestamp'
                       FROM orders_events WHERE topic <> 'request.limits'
                       ORDER BY originator_id, originator_version""",
    "book events": """SELECT originator_id, originator_version, topic,
                             convert_from(state, 'UTF8')::jsonb - 'timestamp' - 'position'
                      FROM matching_events WHERE topic NOT LIKE 'venue.%'
                      ORDER BY originator_id, originator_version""",
}


@pytest.fixture
def shown_after(postgres_url):
    """What the views and logs hold after a run."""

    def run(name, database, *, backlog):
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")
        url = postgres_url.replace("/ome?", f"/{database}?")
        create_tables(database_env(url))
        run_in(url, os.getpid(), name, Load(ORDERS, 100, backlog))
        with psycopg.connect(url) as connection:
            return {what: connection.execute(query).fetchall() for what, query in SHOWN.items()}

    return run


@pytest.mark.parametrize("backlog", [False, True])
def test_the_raw_pipeline_stores_and_shows_what_the_engine_does(shown_after, backlog):
    ours = shown_after("ours", f"ours_{backlog}".lower(), backlog=backlog)
    raw = shown_after("raw", f"raw_{backlog}".lower(), backlog=backlog)
    for what, rows in ours.items():
        assert rows == raw[what], what
    assert len(ours["orders"]) == ORDERS + 1  # with the one that warms up


def test_the_library_as_it_comes_stores_and_shows_what_the_engine_does(shown_after):
    ours = shown_after("ours", "ours_stock", backlog=False)
    stock = shown_after("stock", "stock", backlog=False)
    for what, rows in ours.items():
        assert rows == stock[what], what
