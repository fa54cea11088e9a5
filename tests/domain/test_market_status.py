"""What a market takes while it is halted, post-only or delisted; and which rule comes first."""

from typing import Any

import pytest

from domain.errors import CancelReason, RejectReason
from domain.instrument import Instrument, TradingStatus
from domain.order_book import OrderBook
from domain.requests import InstrumentRequest
from domain.values import Conditions
from tests.domain.support import Event, Market, fill, request_id, state
from tests.domain.words import (
    BUY,
    MARKET,
    SELL,
    STOP,
    STOP_LIMIT,
    UNIT,
    departure,
    stop_limit,
)

HALTED = TradingStatus.HALTED
POST_ONLY = TradingStatus.POST_ONLY
DELISTED = TradingStatus.DELISTED
KINDS: dict[str, dict[str, Any]] = {
    "limit": {"price": 100},
    "post-only": {"price": 100, "post_only": True},
    "market": {"price": None, "order_type": MARKET},
    "by amount": {"price": None, "order_type": MARKET, "quantity": None, "quote_quantity": 5},
    "stop": {"price": None, "order_type": STOP, "stop_price": 100},
    "post-only stop": {
        "price": 100,
        "order_type": STOP_LIMIT,
        "stop_price": 100,
        "post_only": True,
    },
}
all_kinds = pytest.mark.parametrize("kind", KINDS)


def place(market: Market, kind: str) -> list[Event]:
    return market.buy("new", **{"quantity": 5, **KINDS[kind]})


def changed(market: Market, status: TradingStatus, *departed: Any) -> list[Event]:
    """What a change of the status must lead to; it is made here."""
    events = market.set_rules(status=status)
    instrument = Instrument(status=status)
    assert events == [
        market.of_all(
            OrderBook.InstrumentChanged, "operator", instrument=instrument, departed=departed
        )
    ]
    return events


@all_kinds
def test_a_halted_market_takes_no_order(market: Market, kind: str) -> None:
    changed(market, HALTED)
    assert place(market, kind) == [market.refused("new", RejectReason.MARKET_HALTED)]


def test_a_halted_market_takes_cancels_and_no_changes(market: Market) -> None:
    market.buy("b", 5, 100)
    changed(market, HALTED)
    assert market.amend("b", quantity=4) == [
        market.request_refused("b", RejectReason.MARKET_HALTED)
    ]
    assert market.bids == [("b", 5, 100)]
    assert market.cancel("b") == [market.cancelled("b", BUY, 5, 100)]


def test_a_market_that_trades_again_has_its_orders_still(market: Market) -> None:
    market.buy("b", 5, 100)
    changed(market, HALTED)
    changed(market, TradingStatus.TRADING)
    assert market.sell("s", 5, 100) == [
        market.matched("s", SELL, 5, 100, fills=[fill(1, "b", 100, 5, left=0)])
    ]


@all_kinds
def test_a_post_only_market_takes_post_only_orders_only(market: Market, kind: str) -> None:
    changed(market, POST_ONLY)
    events = place(market, kind)
    if kind == "post-only":
        conditions = Conditions(post_only=True)
        assert events == [market.matched("new", BUY, 5, 100, rested=5, conditions=conditions)]
    elif kind == "post-only stop":
        conditions = stop_limit(100, post_only=True)
        assert events == [
            market.matched("new", BUY, 5, 100, rested=5, shown=0, waits=True, conditions=conditions)
        ]
    else:
        assert events == [market.refused("new", RejectReason.MARKET_POST_ONLY)]


def test_a_post_only_market_changes_post_only_orders_only(market: Market) -> None:
    market.buy("plain", 5, 100)
    market.buy("post", 5, 100, post_only=True)
    changed(market, POST_ONLY)
    assert market.amend("plain", quantity=4) == [
        market.request_refused("plain", RejectReason.MARKET_POST_ONLY)
    ]
    conditions = Conditions(post_only=True)
    assert market.amend("post", quantity=4) == [
        market.reduced("post", BUY, 4, 100, remaining=4, was=5, conditions=conditions)
    ]
    assert market.cancel("plain") == [market.cancelled("plain", BUY, 5, 100)]


@all_kinds
def test_a_delisted_asset_takes_no_order(market: Market, kind: str) -> None:
    changed(market, DELISTED)
    assert place(market, kind) == [market.refused("new", RejectReason.DELISTED)]


def test_the_orders_of_a_delisted_asset_are_cancelled(market: Market) -> None:
    market.sell("ask", 5, 105, user="ann", display_quantity=2)
    market.buy("bid", 5, 95)
    market.sell("stop", 5, None, order_type=STOP, stop_price=90)
    reason = CancelReason.DELISTED
    changed(
        market,
        DELISTED,
        departure("bid", BUY, 5, 95, reason),
        departure("ask", SELL, 5, 105, reason, shown=2, user="ann"),
        departure("stop", SELL, 5, None, reason, shown=0),
    )
    assert (market.bids, market.asks, list(market.book.floor.stops)) == ([], [], [])
    assert market.amend("bid", quantity=4) == [market.request_refused("bid", RejectReason.DELISTED)]
    assert market.cancel("bid") == [market.request_refused("bid", RejectReason.ORDER_NOT_OPEN)]


# The default instrument.


def delist_all(market: Market) -> list[Event]:
    """What the venue has each book do where the default instrument is delisted."""
    market.default = Instrument(status=DELISTED)
    request: Any = InstrumentRequest.make(
        request_id(market.commands + 1),
        user_id="operator",
        asset="*",
        instrument=market.default,
        time=market._next(None),
    )
    return market.send(market.book.delist_by_default, request.collect_events()[0])


def test_the_default_holds_until_the_asset_has_rules_of_its_own(market: Market) -> None:
    market.default = Instrument(tick_size=10)
    assert market.buy("a", 1, 101) == [market.refused("a", RejectReason.TICK_SIZE, limit=10)]
    market.set_rules(lot_size=2)
    assert market.buy("b", 2, 101) == [market.matched("b", BUY, 2, 101, rested=2)]


def test_a_delisted_default_takes_the_orders_of_assets_without_rules(market: Market) -> None:
    market.buy("b", 5, 100)
    left = departure("b", BUY, 5, 100, CancelReason.DELISTED)
    assert delist_all(market) == [
        market.of_all(OrderBook.InstrumentChanged, "operator", instrument=None, departed=[left])
    ]
    assert market.buy("new", 1, 100) == [market.refused("new", RejectReason.DELISTED)]


def test_a_delisted_default_has_an_asset_without_orders_forget_its_last_trade(
    market: Market,
) -> None:
    market.sell("s", 1, 100)
    market.buy("b", 1, 100)
    assert delist_all(market) == [
        market.of_all(OrderBook.InstrumentChanged, "operator", instrument=None, departed=())
    ]
    assert delist_all(market) == []
    market.default = Instrument(band_percent=10 * UNIT)
    [matched] = market.sell("far", 1, 500)
    assert matched.rested == 1


def test_a_delisted_default_means_nothing_to_assets_with_rules(market: Market) -> None:
    market.set_rules()
    market.buy("b", 5, 100)
    market.sell("s", 1, 100)
    before = state(market.book)
    assert delist_all(market) == []
    assert state(market.book) == before


def test_a_delisted_default_leaves_an_empty_book_alone(market: Market) -> None:
    before = state(market.book)
    assert delist_all(market) == []
    assert state(market.book) == before


# Which comes first.

BREAKS: list[tuple[RejectReason, dict[str, Any], dict[str, Any]]] = [
    (RejectReason.MARKET_HALTED, {"status": HALTED}, {}),
    (RejectReason.TICK_SIZE, {"tick_size": 2 * UNIT}, {}),
    (RejectReason.LOT_SIZE, {"lot_size": 2}, {}),
    (RejectReason.MIN_QUANTITY, {"min_quantity": 6}, {}),
    (RejectReason.MAX_QUANTITY, {"max_quantity": 4}, {}),
    (RejectReason.MIN_NOTIONAL, {"min_notional": 10_000}, {}),
    (RejectReason.PRICE_TOO_LOW, {"min_price": 102 * UNIT}, {}),
    (RejectReason.POST_ONLY_WOULD_TAKE, {}, {"post_only": True}),
]


@pytest.mark.parametrize("first", range(len(BREAKS)))
def test_of_all_rules_that_an_order_breaks_the_first_is_the_reason(
    market: Market, first: int
) -> None:
    """5 at 101, which would take; each time one rule less is broken, from the front."""
    market.sell("ask", 10, 101 * UNIT)
    rules: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    for _, rule, term in BREAKS[first:]:
        rules |= rule
        terms |= term
    market.set_rules(**rules)
    [placed] = market.buy("new", 5, 101 * UNIT, **terms)
    assert (type(placed), placed.reason) == (OrderBook.Refused, BREAKS[first][0])
    market.suspended.add("user")
    [placed] = market.buy("newer", 5, 101 * UNIT, **terms)
    assert placed.reason is RejectReason.USER_SUSPENDED


def test_of_a_change_the_user_comes_first_then_the_status_the_order_and_the_amounts(
    market: Market,
) -> None:
    market.buy("b", 5, 100)
    market.suspended.add("user")
    market.set_rules(status=HALTED, tick_size=10)
    bad: dict[str, Any] = {"price": 101, "display_quantity": 1}
    asked: list[RejectReason] = []
    for undo in (
        market.suspended.clear,
        lambda: market.set_rules(tick_size=10),
        lambda: bad.pop("display_quantity"),
        lambda: None,
    ):
        [refused] = market.amend("b", **bad)
        asked.append(refused.reason)
        undo()
    assert asked == [
        RejectReason.USER_SUSPENDED,
        RejectReason.MARKET_HALTED,
        RejectReason.NO_DISPLAY_QUANTITY,
        RejectReason.TICK_SIZE,
    ]
