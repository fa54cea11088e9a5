"""What a batch of events does to rows, in memory: each batch leaves what the books have then."""

from collections import Counter
from operator import itemgetter
from typing import Any
from uuid import UUID

import pytest

from application.persistence.log import Entry
from application.views.books import (
    BookRows,
    BookViewRecorder,
    LevelRow,
    RestingRow,
    levels_of,
    resting_of,
)
from application.views.instruments import InstrumentRecorder, InstrumentRow
from application.views.order_rows import OPEN_STATUSES, STRETCH, OrderRow
from application.views.orders import OrderViewRecorder
from application.views.trades import TradeRow, TradeViewRecorder
from domain.instrument import Instrument, TradingStatus
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import arrivals, outcomes
from domain.requests import CancelRequest, InstrumentRequest, ReplaceRequest, UserRequest
from domain.values import ALL_ASSETS, OrderType, SelfTradePrevention, Side, TimeInForce
from domain.venue import Venue as Rules
from tests.application.all_orders import Venue, all_kinds, batches, mixed, replay
from tests.domain.support import START, Market, order_id, request_id, seconds

ASSETS = ("BTC-USD", "ETH-USD")


def changes(view: type[Any], entries: Any) -> Any:
    return object.__new__(view).changes(entries)


class Tables:
    """The tables of the book view, as dictionaries that don't forgive."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.levels: dict[tuple[str, Side, int], tuple[int, int]] = {}
        self.resting: dict[UUID, dict[str, Any]] = {}
        self.expiring: dict[UUID, dict[str, Any]] = {}

    def write(self, entries: Any) -> None:
        rows = changes(BookViewRecorder, entries)
        for row in rows["gone"]:
            self.resting.pop(row["order_id"], None)
            self.expiring.pop(row["order_id"], None)
        for row in rows["shown"]:
            order = self.resting[row["order_id"]]
            order["remaining"] += row["change"]
            order["priority"] = row.get("priority", order["priority"])
        for row in rows["levels"]:
            key = row["asset"], row["side"], row["price"]
            quantity, orders = self.levels.pop(key, (0, 0))
            if orders + row["orders"]:
                self.levels[key] = quantity + row["quantity"], orders + row["orders"]
            else:
                assert quantity + row["quantity"] == 0
        self.versions.update((row["asset"], row["version"]) for row in rows["versions"])
        for name, table in (("resting_orders", self.resting), ("expiring", self.expiring)):
            for row in rows[name]:
                assert table.setdefault(row["order_id"], dict(row)) == row, "a key twice"

    def levels_of(self, asset: str) -> BookRows[LevelRow]:
        def side(of: Side) -> list[LevelRow]:
            mine = {
                price: row for (a, s, price), row in self.levels.items() if (a, s) == (asset, of)
            }
            return [LevelRow(price, *mine[price]) for price in sorted(mine, reverse=of is Side.BUY)]

        return BookRows(self.versions[asset], side(Side.BUY), side(Side.SELL))

    def resting_of(self, asset: str) -> BookRows[RestingRow]:
        def side(of: Side) -> list[RestingRow]:
            mine = [r for r in self.resting.values() if (r["asset"], r["side"]) == (asset, of)]
            sign = -1 if of is Side.BUY else 1
            mine.sort(key=lambda row: (sign * row["price"], row["priority"]))
            return [RestingRow(r["order_id"], r["price"], r["remaining"]) for r in mine]

        priorities = Counter((r["asset"], r["priority"]) for r in self.resting.values())
        assert set(priorities.values()) <= {1}
        return BookRows(self.versions[asset], side(Side.BUY), side(Side.SELL))


def expiring_of(book: OrderBook) -> dict[UUID, Any]:
    """When the time of each of a book's orders is over, of those that have one."""
    return {
        order.order_id: order.conditions.expires_at
        for order in book.floor.all_orders()
        if order.conditions is not None and order.conditions.expires_at is not None
    }


DAYS = [[all_kinds(seed, asset) for asset in ASSETS] for seed in range(4)]


def test_the_days_have_all_that_a_book_decides() -> None:
    events = [event for day in DAYS for venue in day for event in venue.events]
    kinds = {type(event) for event in events}
    assert kinds >= {
        OrderBook.Matched,
        OrderBook.Cancelled,
        OrderBook.Reduced,
        OrderBook.Replaced,
        OrderBook.Refused,
        OrderBook.MassCancelled,
        OrderBook.Expired,
        OrderBook.InstrumentChanged,
    }
    all_arrivals = [arrival for event in events for arrival in arrivals(event)]
    fills = [fill for arrival in all_arrivals for fill in arrival.fills]
    prevented = [each for arrival in all_arrivals for each in arrival.prevented]
    assert any(fill.refill for fill in fills)
    assert any(fill.maker_remaining and not fill.refill for fill in fills)
    assert {each.is_cancelled for each in prevented} == {True, False}
    assert any(event.expired for event in events if isinstance(event, OrderBook.Decided))
    assert any(len(arrivals(event)) > 2 for event in events)
    rested = [event for event in events if getattr(event, "rested", 0)]
    assert any(event.shown < event.rested for event in rested if not event.waits)
    assert any(each.rested for event in rested for each in event.triggered)
    told = [outcome.event for event in events for outcome in outcomes(event)]
    assert set(told) >= {
        Order.Opened,
        Order.Filled,
        Order.Decremented,
        Order.Triggered,
        Order.Expired,
        Order.Rejected,
        Order.Cancelled,
        Order.Replaced,
        Order.RequestRefused,
    }


@pytest.mark.parametrize("most", [1, 4, 40, 1_000])
@pytest.mark.parametrize("seed", range(len(DAYS)))
def test_a_batch_leaves_what_the_books_have_then(seed: int, most: int) -> None:
    tables, books = Tables(), dict[str, OrderBook]()
    entries = mixed(seed, *[venue.events for venue in DAYS[seed]])
    for batch in batches(entries, seed, most):
        replay(batch, books)
        tables.write(batch)
        expiring: dict[UUID, Any] = {}
        for asset, book in books.items():
            assert tables.levels_of(asset) == levels_of(book, None)
            assert tables.resting_of(asset) == resting_of(book, None)
            expiring |= expiring_of(book)
        assert {key: row["expires_at"] for key, row in tables.expiring.items()} == expiring


def test_what_comes_and_goes_in_one_batch_leaves_nothing() -> None:
    market = Market()
    tables = Tables()
    tables.write([(1, market.events[0])])
    later = seconds(60)
    market.buy("a", 5, 100, time_in_force=TimeInForce.GTD, expires_at=later, display_quantity=2)
    market.sell("b", 3, 100)
    market.amend("a", price=101)
    market.sell("c", 1, 101)
    market.cancel("a")
    market.pass_time(later)
    rows = changes(BookViewRecorder, list(enumerate(market.events[1:])))
    assert [rows[name] for name in ("shown", "levels", "resting_orders", "expiring")] == [[]] * 4
    tables.write(list(enumerate(market.events[1:])))
    assert (tables.levels, tables.resting, tables.expiring) == ({}, {}, {})


def test_a_stop_that_waits_is_seen_by_nobody_and_its_time_is_known() -> None:
    market = Market()
    market.buy(
        "stop",
        5,
        99,
        order_type=OrderType.STOP_LIMIT,
        stop_price=100,
        time_in_force=TimeInForce.GTD,
        expires_at=seconds(60),
    )
    tables = Tables()
    tables.write(list(enumerate(market.events)))
    assert (tables.levels, tables.resting) == ({}, {})
    assert list(tables.expiring) == [order_id("stop")]

    # Triggered, it rests; its time is that which it came with.
    trade = [*market.sell("maker", 1, 100), *market.buy("taker", 1, 100)]
    tables.write(list(enumerate(trade)))
    assert tables.resting_of("BTC-USD").bids == [(order_id("stop"), 99, 5)]
    assert list(tables.expiring) == [order_id("stop")]
    tables.write([(1, event) for event in market.sell("last", 5, 99)])
    assert (tables.levels, tables.resting, tables.expiring) == ({}, {}, {})


def test_what_an_earlier_release_has_decided_comes_before_all_that_is_decided_now() -> None:
    market = Market()
    market.buy("a", 1, 100)
    rows = changes(BookViewRecorder, list(enumerate(market.events)))
    assert rows["resting_orders"][0]["priority"] > 2**24


# Orders.


class OrderTables:
    """The tables of the order view."""

    def __init__(self) -> None:
        self.orders: dict[UUID, dict[str, Any]] = {}
        self.requests: set[tuple[UUID, UUID]] = set()
        self.open: dict[int, dict[str, Any]] = {}
        self.periods: dict[int, list[Any]] = {}

    def write(self, entries: Any) -> None:
        rows = changes(OrderViewRecorder, entries)
        for row in rows["changed"]:
            order = self.orders[row["order_id"]]
            if row.get("status", order["status"]) not in OPEN_STATUSES:
                del self.open[order["position"]]
            for name, value in row.items():
                if name in {"filled_quantity", "notional"}:
                    order[name] += value
                elif value is not None:
                    order[name] = value
        self.requests |= {(row["order_id"], row["request_id"]) for row in rows["requests"]}
        for row in rows["orders"]:
            assert self.orders.setdefault(row["order_id"], dict(row)) is not row
            assert list(row) == list(OrderRow._fields)
        for row in rows["open_orders"]:
            assert self.open.setdefault(row["position"], row) is row
        for row in rows["periods"]:
            self.periods.setdefault(row["stretch"], []).extend((row["earliest"], row["latest"]))


def asked(entries: list[Entry]) -> set[tuple[UUID, UUID]]:
    """Which requests are about which orders."""
    pairs: set[tuple[UUID, UUID]] = set()
    for _, event in entries:
        if isinstance(event, CancelRequest.Created | ReplaceRequest.Created):
            pairs.add((event.order_id, event.originator_id))
        for outcome in outcomes(event):
            if outcome.facts.get("request_id") is not None:
                pairs.add((outcome.order_id, outcome.facts["request_id"]))
    return pairs


@pytest.mark.parametrize("most", [1, 10, 10_000])
@pytest.mark.parametrize("seed", range(len(DAYS)))
def test_batches_leave_the_orders_as_they_are(seed: int, most: int) -> None:
    tables = OrderTables()
    entries = mixed(seed, *[venue.log for venue in DAYS[seed]])
    for batch in batches(entries, seed, most):
        tables.write(batch)
    orders = {key: order for venue in DAYS[seed] for key, order in venue.orders.items()}
    assert tables.orders.keys() == orders.keys()
    for key, order in orders.items():
        row = OrderRow(**tables.orders[key])
        assert row == OrderRow.of(order, row.position)
        is_open = row.status in {"PENDING", "OPEN", "PARTIALLY_FILLED"}
        assert (row.position in tables.open) == is_open
        times = tables.periods[row.position // STRETCH]
        assert min(times) <= row.created_at <= max(times)
    assert tables.requests == asked(entries)


def test_a_mass_cancel_is_a_request_about_each_order_that_it_cancels() -> None:
    venue = Venue("BTC-USD")
    venue.buy("a", 5, 100)
    venue.buy("b", 5, 99)
    venue.cancel_all("user")
    requests = changes(OrderViewRecorder, list(enumerate(venue.log)))["requests"]
    assert requests == [
        {"order_id": order_id(name), "request_id": request_id(3)} for name in ("a", "b")
    ]


def test_a_request_and_its_outcome_in_one_batch_are_noted_once() -> None:
    venue = Venue("BTC-USD")
    venue.buy("a", 5, 100)
    venue.cancel("a")
    requests = changes(OrderViewRecorder, list(enumerate(venue.log)))["requests"]
    assert requests == [{"order_id": order_id("a"), "request_id": request_id(2)}]


def test_why_a_stop_ended_and_what_the_rule_allows_is_shown() -> None:
    venue = Venue("BTC-USD")
    venue.set_rules(band_percent=10 * 10**8)
    venue.buy("far", 5, 2_000, order_type=OrderType.STOP_LIMIT, stop_price=1_000)
    venue.sell("maker", 1, 1_000)
    venue.buy("taker", 1, 1_000)
    tables = OrderTables()
    tables.write(list(enumerate(venue.log)))
    row = OrderRow(**tables.orders[order_id("far")])
    assert (row.status, row.reason, row.reason_limit) == ("REJECTED", "PRICE_TOO_HIGH", 1_100)


def test_what_prevention_took_off_is_off_the_quantity() -> None:
    venue = Venue("BTC-USD")
    venue.sell("maker", 5, 100)
    venue.buy("taker", 2, 100, self_trade_prevention=SelfTradePrevention.DECREMENT)
    tables = OrderTables()
    for entry in enumerate(venue.log):
        tables.write([entry])
    maker, taker = (OrderRow(**tables.orders[order_id(name)]) for name in ("maker", "taker"))
    assert (maker.quantity, maker.status) == (3, "OPEN")
    assert (taker.quantity, taker.status, taker.reason) == (2, "CANCELLED", "SELF_TRADE_PREVENTION")


# Trades.


@pytest.mark.parametrize("seed", range(len(DAYS)))
def test_trades_are_those_of_all_orders_that_arrived(seed: int) -> None:
    for venue in DAYS[seed]:
        entries = list(enumerate(venue.events))
        trades = [TradeRow(**row) for row in changes(TradeViewRecorder, entries)["trades"]]
        assert [trade.trade_id for trade in trades] == list(range(1, len(trades) + 1))
        assert trades == [trade for at, event in entries for trade in TradeRow.of(event, at)]
        parts = Counter[tuple[UUID, int]]()
        for trade in trades:
            parts[trade.taker_order_id, 1] += trade.quantity
            parts[trade.maker_order_id, 0] += trade.quantity
        filled = Counter[UUID]()
        for (key, _), quantity in parts.items():
            filled[key] += quantity
        for key, order in venue.orders.items():
            assert filled[key] == order.filled_quantity


# Instruments.


def change(asset: str, number: int, **rules: Any) -> Any:
    """A request for other rules, the n-th command."""
    return InstrumentRequest.make(
        request_id(number),
        user_id="operator",
        asset=asset,
        instrument=Instrument(**rules),
        time=seconds(number),
    ).collect_events()[0]


def test_the_last_rules_of_a_batch_are_those_of_the_asset() -> None:
    rules, market = Rules.open(START), Market()
    rules.change_default(10, change(ALL_ASSETS, 1, tick_size=5))
    market.set_rules(lot_size=3)
    suspension = UserRequest.make(
        request_id(3), user_id="u", asset=ALL_ASSETS, is_suspended=True, time=seconds(3)
    )
    rules.change_user(20, suspension.collect_events()[0])
    market.set_rules(max_price=7, status=TradingStatus.POST_ONLY)

    entries = mixed(1, rules.collect_events(), market.events)
    rows = changes(InstrumentRecorder, entries)
    assert sorted(row["asset"] for row in rows["changed_instruments"]) == ["*", "BTC-USD"]
    latest = Instrument(max_price=7, status=TradingStatus.POST_ONLY)
    assert sorted(rows["instruments"], key=itemgetter("asset")) == [
        InstrumentRow("*", Instrument(tick_size=5), 1, seconds(1), "operator").columns(),
        InstrumentRow("BTC-USD", latest, 2, seconds(2), "operator").columns(),
    ]


def test_an_asset_that_was_delisted_with_all_others_has_no_rules_of_its_own() -> None:
    market = Market()
    market.buy("a", 5, 100)
    delisting = change(ALL_ASSETS, 2, status=TradingStatus.DELISTED)
    market.send(lambda _, command: market.book.delist_by_default(20, command), delisting)
    rows = changes(InstrumentRecorder, list(enumerate(market.events)))
    assert rows == {"changed_instruments": [{"asset": "BTC-USD"}], "instruments": []}
