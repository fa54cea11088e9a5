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
from application.persistence.connection import CONNINFO, connect
from application.views.rebuild import rebuild
from domain.values import book_id
from system import VIEWS, build, build_alone, create_tables
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
    leader = venue.market.orders if name == "orders" else venue.market.matching
    rebuild(VIEWS[name], leader, lambda _: None)
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
