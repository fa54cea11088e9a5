"""Views keep in PostgreSQL what the books and orders are, also in tables of an earlier release."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from application.persistence.connection import connect
from application.persistence.log import Entry
from application.persistence.position import Advance, Move
from application.persistence.unit_of_work import transact
from application.views.books import BookView, levels_of, resting_of
from application.views.instruments import InstrumentRow
from application.views.order_pages import OrderFilter
from application.views.order_rows import OPEN_STATUSES, OrderRow
from application.views.orders import OrderView
from application.views.trades import TradeView
from application.views.view import View
from domain.instrument import Instrument, TradingStatus
from domain.order_book import OrderBook
from domain.requests import InstrumentRequest
from domain.values import ALL_ASSETS, OrderType, SelfTradePrevention, TimeInForce
from domain.venue import Venue as Rules
from system import ENV
from tests.application.all_orders import Venue, all_kinds, batches, mixed, replay
from tests.application.test_view_changes import ASSETS, asked, expiring_of
from tests.domain.support import START, Market, order_id, request_id, seconds

LEADER = "Leader"


@contextmanager
def made(view: type[View], env: dict[str, str]) -> Iterator[Any]:
    with closing(view({**ENV, **env, "CREATE_TABLE": "y"})) as made:
        yield made.recorder


def write(recorder: Any, entries: list[Entry] | Any, since: int | None) -> int:
    """Writes a batch; gives the position that it leads to."""
    last, _ = entries[-1]
    call = recorder.call(entries, Advance.of(LEADER, [Move(LEADER, since, last)]))
    transact(recorder.datastore, [call], recorder.locks)
    return last


def write_all(recorder: Any, events: list[Any]) -> None:
    write(recorder, list(enumerate(events, start=1)), None)


def select(env: dict[str, str], statement: str) -> list[dict[str, Any]]:
    with connect(env) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.mark.parametrize(("seed", "most"), [(11, 3), (12, 30), (13, 900)])
def test_each_batch_leaves_what_the_books_have_then(
    library_env: dict[str, str], seed: int, most: int
) -> None:
    days = [all_kinds(seed, asset, commands=250) for asset in ASSETS]
    entries = mixed(seed, *[day.events for day in days])
    books: dict[str, OrderBook] = {}
    since = None
    with made(BookView, library_env) as recorder:
        for batch in batches(entries, seed, most):
            replay(batch, books)
            since = write(recorder, batch, since)
            for asset, book in books.items():
                for depth in (2, 1_000):
                    assert recorder.levels(asset, depth) == levels_of(book, depth)
                assert recorder.resting(asset, None) == resting_of(book, None)
            rows = select(library_env, "SELECT * FROM book_view.expiring")
            expected = {
                key: (asset, time)
                for asset, book in books.items()
                for key, time in expiring_of(book).items()
            }
            assert {r["order_id"]: (r["asset"], r["expires_at"]) for r in rows} == expected
            for now in {time for _, time in expected.values()}:
                ends = sorted(each for each in expected.values() if each[1] <= now)
                assert recorder.due_assets(now) == dict(ends)  # of an asset, its last


@pytest.mark.parametrize(("seed", "most"), [(21, 3), (22, 30), (23, 3_000)])
def test_batches_leave_the_orders_and_trades_as_they_are(
    library_env: dict[str, str], seed: int, most: int
) -> None:
    days = [all_kinds(seed, asset, commands=250) for asset in ASSETS]
    entries = mixed(seed, *[day.log for day in days])
    since = None
    with made(OrderView, library_env) as recorder:
        for batch in batches(entries, seed, most):
            since = write(recorder, batch, since)
        rows = {row.order_id: row for row in recorder.orders(limit=10_000)}
        orders = {key: order for day in days for key, order in day.orders.items()}
        assert rows == {key: OrderRow.of(orders[key], rows[key].position) for key in orders}
        listed = {row["position"] for row in select(library_env, "TABLE order_view.open_orders")}
        still_open = {row for row in rows.values() if not orders[row.order_id].status.is_terminal}
        assert listed == {row.position for row in still_open}
        wanted = OrderFilter(statuses=OPEN_STATUSES)
        assert set(recorder.orders(wanted, limit=10_000)) == still_open
        for key in orders:
            ids = {request for order, request in asked(entries) if order == key}
            assert set(recorder.request_ids(key)) == ids

    with made(TradeView, library_env) as recorder:
        write_all(recorder, [event for day in days for event in day.events])
        for day in days:
            trades = recorder.trades(asset=day.asset, limit=10_000)
            assert [trade.trade_id for trade in reversed(trades)] == list(
                range(1, day.book.last_trade_id + 1)
            )


def test_a_mass_cancel_may_come_in_another_batch_than_its_order_s_own_requests(
    library_env: dict[str, str],
) -> None:
    venue = Venue("BTC-USD")
    venue.buy("a", 5, 100)
    venue.amend("a", quantity=4)
    venue.cancel_all("user")
    with made(OrderView, library_env) as recorder:
        since = None
        for entry in enumerate(venue.log, start=1):
            since = write(recorder, [entry], since)
        assert set(recorder.request_ids(order_id("a"))) == {request_id(2), request_id(3)}


def change(asset: str, number: int, **rules: Any) -> Any:
    return InstrumentRequest.make(
        request_id(number),
        user_id="operator",
        asset=asset,
        instrument=Instrument(**rules),
        time=seconds(number),
    ).collect_events()[0]


def test_instruments_are_those_whose_rules_were_given(library_env: dict[str, str]) -> None:
    whole: dict[str, Any] = {
        "tick_size": 5,
        "lot_size": 2,
        "min_quantity": 4,
        "max_quantity": 10**18,
        "min_notional": 7,
        "min_price": 10,
        "max_price": 10**18,
        "band_percent": 12,
        "session_end": 1_439,
        "status": TradingStatus.HALTED,
    }
    rules, upper, lower, plain = Rules.open(START), Market("Z"), Market("a"), Market("-")
    with made(BookView, library_env) as recorder:
        assert recorder.instruments() == []
        rules.change_default(10, change(ALL_ASSETS, 1, tick_size=3))
        for market in (lower, upper, plain):
            market.set_rules(**whole)
        events = [*rules.collect_events(), *lower.events, *upper.events, *plain.events]
        write(recorder, list(enumerate(events, start=1)), None)
        assert [row.asset for row in recorder.instruments()] == ["*", "-", "Z", "a"]
        given = InstrumentRow("a", Instrument(**whole), 1, seconds(1), "operator")
        assert recorder.instrument("a") == given
        assert recorder.instrument("*").instrument == Instrument(tick_size=3)
        assert recorder.instrument("b") is None

        upper.set_rules(min_price=1)
        write(recorder, [(100, upper.events[-1])], len(events))
        assert recorder.instrument("Z").instrument == Instrument(min_price=1)
        assert recorder.instrument("Z").version == 2


# Tables of an earlier release.

EARLIER = """
    CREATE SCHEMA order_view;
    CREATE TABLE order_view.orders (
        order_id uuid PRIMARY KEY,
        user_id text NOT NULL,
        asset text NOT NULL,
        side text NOT NULL,
        order_type text NOT NULL,
        time_in_force text NOT NULL,
        price bigint NOT NULL,
        quantity bigint NOT NULL,
        filled_quantity bigint NOT NULL,
        notional numeric NOT NULL,
        status text NOT NULL,
        reason text,
        client_order_id text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        position bigint NOT NULL
    ) WITH (fillfactor = 70);
    INSERT INTO order_view.orders VALUES (
        '{order}', 'user', 'BTC-USD', 'BUY', 'LIMIT', 'GTC', 100, 5, 0, 0, 'OPEN', NULL, NULL,
        '2024-02-09T12:00:01Z', '2024-02-09T12:00:01Z', 1
    );
"""


def test_orders_that_an_earlier_release_has_shown_are_shown_with_what_they_lack(
    library_env: dict[str, str],
) -> None:
    venue = Venue("BTC-USD")
    venue.buy("a", 5, 100)
    shown = OrderRow.of(venue["a"], position=1)
    old = len(venue.log)
    with connect(library_env) as connection:
        connection.execute(EARLIER.replace("{order}", str(order_id("a"))).encode())
    with made(OrderView, library_env) as recorder:
        assert recorder.order(order_id("a")) == shown
        assert recorder.orders(OrderFilter("user", statuses=OPEN_STATUSES), limit=10) == [shown]
        assert recorder.orders(OrderFilter(since=shown.created_at), limit=10) == [shown]

        venue.sell("b", 1, 100)
        venue.buy(
            "c", None, None, order_type=OrderType.MARKET, quote_quantity=3, user="c",
            self_trade_prevention=SelfTradePrevention.CANCEL_BOTH,
        )  # fmt: skip
        at = venue.time + timedelta(hours=1)
        venue.buy("d", 5, 90, time_in_force=TimeInForce.GTD, expires_at=at, post_only=True)
        write(recorder, list(enumerate(venue.log, start=1))[old:], None)
        rows = {row.order_id: row for row in recorder.orders(limit=10)}
        expected: dict[UUID, OrderRow] = {
            key: OrderRow.of(order, rows[key].position) for key, order in venue.orders.items()
        }
        assert rows == expected
        assert rows[order_id("c")].quantity is None


def test_tables_that_are_up_to_date_are_left_alone(library_env: dict[str, str]) -> None:
    """A start waits for nobody who reads or writes."""
    with made(OrderView, library_env):
        pass
    upgrade = next(each for each in OrderView.recorder_class.tables if "ALTER TABLE" in each)
    statement = upgrade.format(schema="order_view", name="'order_view'").encode()
    with connect(library_env) as reader, connect(library_env) as other:
        reader.execute("BEGIN; SELECT FROM order_view.orders")
        other.execute("SET lock_timeout = 100")
        other.execute(statement)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("ALTER TABLE order_view.orders ADD COLUMN surprise int")
        reader.execute("ROLLBACK")
