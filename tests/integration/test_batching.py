"""A batch of events does to a view what its events do one by one, whatever is among them."""

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from application.persistence.snapshot import Snapshot
from application.views.books import LevelRow, RestingRow
from application.views.order_rows import OrderRow
from application.views.view import View
from domain.errors import OrderClosed
from domain.values import OrderStatus, Side, TimeInForce
from system import VIEWS, followings, leaders_of
from tests.integration.conftest import Venue

TABLES = {
    "orders": ("orders", "requests"),
    "books": ("books", "levels", "resting_orders"),
    "trades": ("trades",),
}


def decide(venue: Venue) -> None:
    """Has everything decided and recorded, and leaves the views where they are."""
    venue.market.matching.pull_and_process("Orders")
    venue.market.orders.pull_and_process("Matching")


def show(venue: Venue) -> None:
    """Has each view apply all that waits in one batch."""
    for follower, leader in followings(venue.market):
        if isinstance(follower, View):
            follower.process_batch(leader, limit=10_000)
            assert follower.pending(leader, limit=1) == []


def shown(venue: Venue, order_id: UUID) -> OrderRow:
    row = venue.market.order_view.recorder.order(order_id)
    assert row is not None
    return row


def trade_at_random(venue: Venue, seed: int, commands: int) -> None:
    """Few prices, few orders: they meet, and what is asked about them comes too late as well."""
    chance = random.Random(seed)
    placed: list[UUID] = []
    for _ in range(commands):
        if placed and chance.random() < 0.4:
            order_id = chance.choice(placed[-12:])
            try:
                if chance.random() < 0.4:
                    venue.cancel(order_id)
                else:
                    price = chance.choice([None, chance.randint(97, 103)])
                    venue.replace(order_id, price, chance.randint(1, 12))
            except OrderClosed:
                pass
        else:
            side = chance.choice(list(Side))
            asset = chance.choice(["BTC-USD", "ETH-USD"])
            tif = chance.choice([TimeInForce.GTC] * 5 + [TimeInForce.IOC])
            receipt = venue.place(
                side,
                chance.randint(97, 103),
                chance.randint(1, 9),
                asset=asset,
                time_in_force=tif,
                client_order_id=chance.choice([None, str(len(placed))]),
            )
            placed.append(receipt.order.id)
        if chance.random() < 0.2:
            decide(venue)
    decide(venue)


@contextmanager
def beside(venue: Venue, name: str) -> Iterator[View]:
    """Another view of the same logs, empty yet."""
    env = {**venue.market.orders.env, "POSTGRES_SCHEMA": "beside", "CREATE_TABLE": "y"}
    with closing(VIEWS[name](env)) as view:
        for leader in leaders_of(venue.market, VIEWS[name]):
            view.follow(leader.name, leader.notification_log)
        yield view
    venue.execute("DROP SCHEMA beside CASCADE")


def rows(venue: Venue, schema: str, table: str) -> list[tuple[Any, ...]]:
    with Snapshot.take(venue.env) as snapshot:
        found = snapshot.rows(f"SELECT * FROM {schema}.{table}")
        return sorted((tuple(row.values()) for row in found), key=repr)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_events_applied_one_by_one_or_in_batches_give_the_same_rows(
    venue: Venue, seed: int
) -> None:
    trade_at_random(venue, seed, commands=150)
    show(venue)
    assert venue.difference() is None

    chance = random.Random(seed)
    for most in (1, 20):
        for name, tables in TABLES.items():
            with beside(venue, name) as view:
                while view.process_batch(*view.readers, limit=chance.randint(1, most)):
                    pass
                for table in tables:
                    at_once = rows(venue, f"{name[:-1]}_view", table)
                    assert at_once
                    assert rows(venue, "beside", table) == at_once


def test_an_order_that_is_placed_filled_amended_and_cancelled_in_one_batch(venue: Venue) -> None:
    order_id = venue.buy(100, 10)
    venue.sell(100, 3)
    decide(venue)
    venue.replace(order_id, 99, 8)
    decide(venue)
    venue.sell(99, 1)
    decide(venue)
    venue.cancel(order_id)
    decide(venue)
    show(venue)

    row = shown(venue, order_id)
    assert (row.price, row.quantity, row.filled_quantity) == (99, 8, 4)
    assert row.notional == 3 * 100 + 1 * 99
    assert (row.status, row.reason) == (OrderStatus.CANCELLED, "USER_REQUEST")
    assert row == OrderRow.of(venue.market.orders.get(order_id), position=1)
    book = venue.market.book_view.recorder
    assert book.levels("BTC-USD", 10) == (5, [], [])
    assert book.resting("BTC-USD", None) == (5, [], [])
    assert venue.difference() is None


def test_an_order_that_is_there_is_filled_amended_and_cancelled_in_one_batch(
    venue: Venue,
) -> None:
    order_id = venue.buy(100, 10)
    decide(venue)
    show(venue)
    venue.sell(100, 3)
    decide(venue)
    venue.replace(order_id, 99, 8)
    decide(venue)
    venue.cancel(order_id)
    decide(venue)
    show(venue)

    assert shown(venue, order_id) == OrderRow.of(venue.market.orders.get(order_id), position=1)
    assert venue.market.book_view.recorder.levels("BTC-USD", 10) == (4, [], [])
    assert venue.difference() is None


def test_a_refused_request_changes_nothing_of_an_order(venue: Venue) -> None:
    order_id = venue.buy(100, 10)
    venue.sell(100, 4)
    decide(venue)
    show(venue)
    before = shown(venue, order_id)
    venue.replace(order_id, None, 4)
    decide(venue)
    show(venue)

    assert shown(venue, order_id) == before
    assert venue.difference() is None


@pytest.mark.parametrize("there", [True, False])
def test_an_order_that_leaves_its_level_and_comes_again_twice_in_one_batch(
    venue: Venue, *, there: bool
) -> None:
    first = venue.buy(100, 5)
    if there:
        decide(venue)
        show(venue)
    second = venue.buy(100, 6)
    for _ in range(2):
        venue.replace(first, 101, None)
        venue.replace(first, 100, None)
    decide(venue)
    show(venue)

    version, bids, asks = venue.market.book_view.recorder.resting("BTC-USD", None)
    assert (version, bids, asks) == (6, [RestingRow(second, 100, 6), RestingRow(first, 100, 5)], [])
    assert venue.market.book_view.recorder.levels("BTC-USD", 10).bids == [LevelRow(100, 11, 2)]
    assert venue.difference() is None


@pytest.mark.parametrize("there", [True, False])
def test_a_level_that_is_emptied_and_filled_again_in_one_batch(
    venue: Venue, *, there: bool
) -> None:
    venue.buy(100, 5)
    if there:
        decide(venue)
        show(venue)
    venue.sell(100, 5)
    again = venue.buy(100, 7)
    decide(venue)
    show(venue)

    book = venue.market.book_view.recorder
    assert book.levels("BTC-USD", 10).bids == [LevelRow(100, 7, 1)]
    assert book.resting("BTC-USD", None).bids == [RestingRow(again, 100, 7)]
    assert venue.difference() is None


def test_the_orders_of_the_best_levels_only(venue: Venue) -> None:
    for price in (97, 100, 98, 100, 99):
        venue.buy(price, 1)
        venue.sell(price + 10, 1)
    venue.settle()

    book = venue.market.book_view.recorder
    _, bids, asks = book.resting("BTC-USD", 2)
    assert [row.price for row in bids] == [100, 100, 99]
    assert [row.price for row in asks] == [107, 108]
    assert len(book.resting("BTC-USD", None).bids) == 5


def test_rows_are_looked_up_from_the_first_batch_on(venue: Venue) -> None:
    """A plan that reads a nearly empty table whole would be kept when the table is full."""
    makers = [venue.buy(100 + n % 3, 10) for n in range(40)]
    decide(venue)
    show(venue)
    before = scans(venue)
    for order_id in makers:
        venue.replace(order_id, None, 5)
        decide(venue)
        show(venue)

    after = scans(venue)
    for table in ("orders", "resting_orders", "levels"):
        whole, by_index = (
            now - then for now, then in zip(after[table], before[table], strict=True)
        )
        assert whole == 0
        assert by_index == 40


class Scans(NamedTuple):
    """How often a table was read."""

    whole: int
    by_index: int


def scans(venue: Venue) -> dict[str, Scans]:
    for view in (venue.market.order_view, venue.market.book_view):
        with view.recorder.datastore.get_connection() as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
            rows = connection.execute("SELECT relname, seq_scan, idx_scan FROM pg_stat_user_tables")
            found = {row["relname"]: Scans(row["seq_scan"], row["idx_scan"]) for row in rows}
    return found


def test_batches_that_take_long_become_small_and_grow_again(venue: Venue) -> None:
    for _ in range(60):
        venue.buy(100, 1)
    matching = venue.market.matching
    matching.batch_seconds = 0
    assert [matching.process_batch("Orders", limit=16) for _ in range(6)] == [16, 8, 4, 2, 1, 1]
    assert matching.may_have_more
    matching.batch_seconds = 60
    assert [matching.process_batch("Orders", limit=16) for _ in range(6)] == [1, 2, 4, 8, 13, 0]
    assert not matching.may_have_more
