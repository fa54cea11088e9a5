"""A database that the first release has made, with orders of every type, goes on with this one.

`first_release.sql.gz` is a dump of it by pg_dump; some of its orders were not yet decided then.
`first_release.json` is what that release itself has made of them afterwards.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from application.matching import Matching
from application.orders import Orders
from application.persistence.connection import CONNINFO, connect
from application.persistence.partitions import Reach
from application.views.rebuild import rebuild
from domain.values import book_id
from system import VIEWS, Market, build, build_alone, create_tables, leaders_of
from tests.integration.conftest import Venue, patient
from tests.integration.service import eventually

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((HERE / "first_release.json").read_text())
ROOT = HERE.parents[1]


@pytest.fixture
def first(library_env: dict[str, str]) -> dict[str, str]:
    """The environment of a database as the first release has left it."""
    dump = gzip.decompress((HERE / "first_release.sql.gz").read_bytes())
    with psycopg.connect(library_env[CONNINFO], autocommit=True) as connection:
        connection.execute(dump)
    return patient(library_env)


@pytest.fixture
def venue(first: dict[str, str]) -> Iterator[Venue]:
    assert create_tables(first) == [2, 3, 4]
    with closing(build(first)) as market:
        yield Venue(market, first)


def shown(venue: Venue, asset: str) -> dict[str, Any]:
    book = venue.market.book_view.recorder.resting(asset, None)
    sides = {"bids": book.bids, "asks": book.asks}
    return {
        "version": book.version,
        **{
            side: [[str(row.order_id), row.price, row.quantity] for row in rows]
            for side, rows in sides.items()
        },
    }


def test_an_upgraded_market_has_the_books_and_orders_that_it_had(venue: Venue) -> None:
    venue.settle()
    assert {asset: shown(venue, asset) for asset in EXPECTED["books"]} == EXPECTED["books"]
    rows = venue.market.order_view.recorder.orders(limit=10_000)
    states = {str(row.order_id): [row.status, row.filled_quantity] for row in rows}
    assert states == EXPECTED["orders"]
    assert len(venue.market.trade_view.recorder.trades(limit=100_000)) == EXPECTED["trades"]
    assert venue.difference() is None


def test_an_upgraded_market_trades_on_and_a_second_start_applies_nothing(venue: Venue) -> None:
    for _ in range(2):
        for asset in (*EXPECTED["books"], "NEWER-USD"):
            bought = venue.buy(200, 3, asset=asset, user_id="buyer")
            sold = venue.sell(200, 3, asset=asset, user_id="seller")
            venue.settle()
            statuses = {venue.market.orders.get(each).status for each in (bought, sold)}
            assert "FILLED" in statuses
        assert create_tables(venue.env) == []
    assert venue.difference() is None
    with closing(build_alone(venue.env, Matching)) as fresh:
        books = fresh.load([book_id(asset) for asset in EXPECTED["books"]])
    assert len(books) == len(EXPECTED["books"])


@pytest.mark.parametrize("name", VIEWS)
def test_the_views_of_an_upgraded_market_are_those_that_are_built_anew(
    venue: Venue, name: str
) -> None:
    venue.settle()
    before = {asset: shown(venue, asset) for asset in EXPECTED["books"]}
    rebuild(VIEWS[name], leaders_of(venue.market, VIEWS[name]), lambda _: None)
    assert {asset: shown(venue, asset) for asset in EXPECTED["books"]} == before
    assert venue.difference() is None


UPGRADE = "import json, sys; from system import create_tables; create_tables(json.load(sys.stdin))"


def test_an_upgrade_that_was_killed_in_the_middle_is_done_by_the_next_start(
    first: dict[str, str],
) -> None:
    with connect(first) as reader:
        # It has to wait for this lock after it has changed other tables.
        reader.execute("BEGIN; LOCK TABLE trade_view.tradeview_tracking IN ACCESS SHARE MODE")
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", UPGRADE],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(first))
        process.stdin.close()

        def waits() -> bool:
            return bool(
                reader.execute(
                    "SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                    " WHERE NOT granted AND relname = 'tradeview_tracking'"
                ).fetchall()
            )

        try:
            eventually(waits, 60)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        reader.execute("ROLLBACK")
        tables = "SELECT FROM pg_class WHERE relname IN ('ome_schema_versions', 'standstills')"
        assert reader.execute(tables).fetchall() == []
    assert create_tables(first) == [2, 3, 4]
    with closing(build(first)) as market:
        venue = Venue(market, first)
        venue.settle()
        assert {asset: shown(venue, asset) for asset in EXPECTED["books"]} == EXPECTED["books"]
        assert venue.difference() is None


def places(market: Market) -> list[int | None]:
    """Where the order view is in the log of Orders and in Matching's, and Orders' follower."""
    view = market.order_view.recorder
    return [
        view.max_tracking_id(Orders.name),
        view.max_tracking_id(Matching.name),
        market.orders.recorder.max_tracking_id(Matching.name),
    ]


def test_an_order_view_that_has_had_all_outcomes_goes_on_where_orders_is(
    first: dict[str, str],
) -> None:
    with connect(first) as connection:
        [before] = connection.execute("SELECT count(*), sum(notional) FROM order_view.orders")
        create_tables(first)
        [after] = connection.execute("SELECT count(*), sum(notional) FROM order_view.orders")
    assert after == before
    assert after["count"] > 0
    with closing(build(first)) as market:
        commands, decisions, applied = places(market)
        assert commands is not None
        assert decisions == applied is not None
        Venue(market, first).settle()
        assert Venue(market, first).difference() is None


def test_an_order_view_that_lags_is_made_anew_from_both_logs(first: dict[str, str]) -> None:
    """Its process was killed; it has had one of the outcomes of a decision, and not the other."""
    with connect(first) as connection:
        connection.execute(
            "UPDATE order_view.orderview_tracking SET notification_id = 1000"
            " WHERE application_name = 'Orders'"
        )
        connection.execute("UPDATE order_view.orders SET notional = 1")
        create_tables(first)
        [rows] = connection.execute("SELECT count(*) FROM order_view.orders")
    assert rows["count"] == 0
    with closing(build(first)) as market:
        assert places(market)[:2] == [None, None]
        venue = Venue(market, first)
        venue.settle()
        assert venue.difference() is None
        orders = market.order_view.recorder.orders(limit=10_000)
        states = {str(row.order_id): [row.status, row.filled_quantity] for row in orders}
        assert states == EXPECTED["orders"]
    assert create_tables(first) == []


def test_an_order_view_of_a_market_that_was_fed_by_partition_goes_on_in_each(
    first: dict[str, str],
) -> None:
    with connect(first) as connection:
        connection.execute(
            "UPDATE orders_tracking SET application_name = 'Matching#0'"
            " WHERE application_name = 'Matching'"
        )
        connection.execute("INSERT INTO orders_tracking VALUES ('Matching#1', 457)")
    create_tables(first)
    with closing(build(first)) as market:
        reach = Reach.read(market.order_view.recorder, Matching.name)
        assert reach == Reach([457, 457], is_by_partition=True)
        venue = Venue(market, first)
        venue.settle()
        assert venue.difference() is None
