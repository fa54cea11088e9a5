"""A view is built anew beside the living one, and nobody who reads it notices."""

import threading
import time
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from psycopg.sql import SQL, Identifier

from application.persistence.locks import Busy, alone
from application.persistence.snapshot import Snapshot
from application.views.rebuild import rebuild
from application.views.view import View
from interface.engine import Engine
from interface.following import process
from system import VIEWS, leaders_of
from tests.integration.conftest import Venue, at_work
from tests.integration.service import eventually


def rebuild_now(venue: Venue, name: str) -> int:
    done: list[int] = []
    rebuild(VIEWS[name], leaders_of(venue.market, VIEWS[name]), done.append)
    return sum(done)


def check_rebuilds(venue: Venue) -> None:
    """Every view has, row by row, what it has when it is made anew."""
    for name, view in VIEWS.items():
        before = rows_of(venue, view.env["POSTGRES_SCHEMA"])
        assert before or name == "instruments"  # not every market has rules
        rebuild_now(venue, name)
        assert rows_of(venue, view.env["POSTGRES_SCHEMA"]) == before


def rows_of(venue: Venue, schema: str) -> dict[str, Counter[tuple[Any, ...]]]:
    """Give the rows of each table that has any, without the view's position.

    Nor the periods: they reach as far as the batches that they came in make them, and the
    verifier proves that they cover the orders.
    """
    with venue.connect() as connection:
        tables = connection.execute(
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = %s", [schema]
        ).fetchall()
        found = {
            name: Counter(
                tuple(row.values())
                for row in connection.execute(SQL("SELECT * FROM {}").format(table))
            )
            for name, table in ((row["name"], Identifier(schema, row["name"])) for row in tables)
            if not name.endswith("_tracking") and name != "periods"
        }
    return {name: rows for name, rows in found.items() if rows}


@pytest.mark.parametrize("name", VIEWS)
def test_a_damaged_view_is_right_again_after_a_rebuild(venue: Venue, name: str) -> None:
    venue.set_rules("SOL-USD", tick_size=5)
    venue.trade_a_little()
    view: View = getattr(venue.market, f"{name[:-1]}_view")
    table = {"books": "levels"}.get(name, name)
    venue.execute(f"DELETE FROM {view.recorder.datastore.schema}.{table}")
    assert venue.difference() is not None

    assert rebuild_now(venue, name) > 0
    assert venue.difference() is None
    venue.trade_a_little()
    assert venue.difference() is None


def test_what_a_killed_rebuild_left_is_in_nobody_s_way(venue: Venue) -> None:
    venue.trade_a_little()
    venue.execute("CREATE SCHEMA book_view_new")
    venue.execute("CREATE TABLE book_view_new.levels (leftover int)")

    rebuild_now(venue, "books")
    assert venue.difference() is None


def test_a_view_is_rebuilt_by_one_at_a_time(venue: Venue) -> None:
    with alone(venue.env, "rebuild book_view"), pytest.raises(Busy):
        rebuild_now(venue, "books")


def test_views_are_rebuilt_while_the_market_trades(venue: Venue) -> None:
    rebuilt = threading.Event()
    trades = 0

    def trade() -> None:
        nonlocal trades
        while trades < 150 or not rebuilt.is_set():
            venue.buy(100, 1)
            venue.sell(100, 1)
            trades += 1

    trading = threading.Thread(target=trade)
    with at_work(Engine(venue.env, batch_size=3)):
        trading.start()
        try:
            for name in VIEWS:
                rebuild_now(venue, name)
        finally:
            rebuilt.set()
            trading.join()
    venue.settle()

    assert len(venue.market.trade_view.recorder.trades(limit=trades + 1)) == trades
    assert venue.difference() is None


def test_a_view_that_cannot_apply_an_event_parks_and_goes_on_when_it_can(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue.buy(100, 1)
    venue.buy(101, 1)
    venue.settle()
    view = venue.market.trade_view
    changes = type(view.recorder).changes

    def fail_on_trades(recorder, entries) -> Any:
        if any(event.TOPIC == "book.matched" and event.fills for _, event in entries):
            raise ArithmeticError("no")
        return changes(recorder, entries)

    monkeypatch.setattr(type(view.recorder), "changes", fail_on_trades)
    venue.buy(99, 1)
    venue.sell(101, 1)
    venue.buy(98, 1)
    venue.market.matching.pull_and_process("Orders")

    assert process(view, ["Matching"], 100) == 0
    assert view.recorder.parked() == "Matching 5, book.matched: ArithmeticError: no"
    assert view.recorder.max_tracking_id("Matching") == 4
    assert process(view, ["Matching"], 100) == 0  # it does not skip what it can't apply

    monkeypatch.undo()
    assert process(view, ["Matching"], 100) == 2
    assert view.recorder.parked() is None
    venue.settle()
    with closing(view):
        assert venue.difference() is None


def test_a_long_reader_delays_the_swap_and_nobody_else(venue: Venue) -> None:
    venue.trade_a_little()
    rebuilding = threading.Thread(target=rebuild_now, args=(venue, "trades"))
    with Snapshot.take(venue.env) as snapshot, venue.connect() as reader:
        assert list(snapshot.rows("SELECT * FROM trade_view.trades"))
        reader.execute("SET lock_timeout = '1s'")  # a read that waits for longer fails
        rebuilding.start()
        eventually(lambda: waits_for_a_lock(venue), 60)
        for _ in range(40):
            assert reader.execute("SELECT FROM trade_view.trades LIMIT 1").rowcount == 1
            time.sleep(0.05)
        assert rebuilding.is_alive()
    rebuilding.join(60)
    assert not rebuilding.is_alive()
    assert venue.difference() is None


def waits_for_a_lock(venue: Venue) -> bool:
    """Whether somebody in the database waits for one."""
    with venue.connect() as connection:
        return bool(
            connection.execute(
                "SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).rowcount
        )


def test_a_view_whose_table_is_gone_parks_and_says_so(venue: Venue) -> None:
    """What PostgreSQL refuses is no sign that it is away."""
    venue.trade_a_little()
    venue.execute("ALTER TABLE trade_view.trades RENAME TO mislaid")
    venue.buy(200, 1)
    venue.sell(200, 1)
    venue.market.matching.pull_and_process("Orders")

    view = venue.market.trade_view
    assert process(view, ["Matching"], 100) == 0
    parked = view.recorder.parked()
    assert parked is not None
    assert parked.endswith(
        ': ProgrammingError: relation "trade_view.trades" does not exist (SQLSTATE 42P01)'
    )

    venue.execute("ALTER TABLE trade_view.mislaid RENAME TO trades")
    assert process(view, ["Matching"], 100) == 2
    assert view.recorder.parked() is None
    venue.settle()
    assert venue.difference() is None


def test_a_view_that_holds_a_row_already_parks_and_says_so(venue: Venue) -> None:
    venue.trade_a_little()
    venue.buy(100, 1)
    venue.sell(100, 1)
    venue.market.matching.pull_and_process("Orders")
    venue.execute(
        "INSERT INTO trade_view.trades SELECT asset, trade_id + 1, price, quantity,"
        " maker_order_id, taker_order_id, taker_side, executed_at,"
        " (SELECT max(notification_id) FROM matching_events)"
        " FROM trade_view.trades WHERE asset = 'BTC-USD' ORDER BY trade_id DESC LIMIT 1"
    )

    assert process(venue.market.trade_view, ["Matching"], 100) == 0
    assert str(venue.market.trade_view.recorder.parked()).endswith(
        ': IntegrityError: duplicate key value violates unique constraint "trades_pkey"'
        " (SQLSTATE 23505)"
    )


def test_a_publication_of_all_tables_stops_neither_views_nor_rebuilds(venue: Venue) -> None:
    with venue.connect() as connection:
        connection.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    venue.trade_a_little()
    for name in VIEWS:
        rebuild_now(venue, name)
    venue.trade_a_little()
    assert venue.difference() is None


def test_tables_can_be_published_for_logical_replication(venue: Venue) -> None:
    with venue.connect() as connection:
        rows = connection.execute(
            "SELECT c.oid::regclass::text AS name FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind = 'r' AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
            " AND relreplident <> 'f' AND NOT EXISTS"
            " (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)"
        ).fetchall()
    assert [row["name"] for row in rows] == []
