"""Each rule of an instrument: what just keeps it, what just breaks it, and what it then allows."""

from typing import Any

import pytest

from domain.errors import RejectReason
from domain.instrument import Instrument, TradingStatus
from domain.order import Order
from domain.order_book import OrderBook
from domain.values import OrderStatus, SelfTradePrevention
from tests.domain.support import Exchange, Market, order_id, seconds, told
from tests.domain.words import BUY, MARKET, SELL, STOP, STOP_LIMIT, UNIT, stop_limit

MOST = 10**18  # units: what an order has at most, without other rules


@pytest.mark.parametrize(
    ("rules", "keeps", "breaks", "reason", "limit"),
    [
        ({"tick_size": 10}, (5, 120), (5, 121), RejectReason.TICK_SIZE, 10),
        ({"tick_size": 10}, (5, 10), (5, 9), RejectReason.TICK_SIZE, 10),
        ({"lot_size": 4}, (8, 100), (9, 100), RejectReason.LOT_SIZE, 4),
        ({"lot_size": 4}, (4, 100), (3, 100), RejectReason.LOT_SIZE, 4),
        ({"min_quantity": 5}, (5, 100), (4, 100), RejectReason.MIN_QUANTITY, 5),
        ({"max_quantity": 5}, (5, 100), (6, 100), RejectReason.MAX_QUANTITY, 5),
        ({}, (MOST, 100), (MOST + 1, 100), RejectReason.MAX_QUANTITY, MOST),
        ({"min_notional": 50}, (5, 10 * UNIT), (4, 10 * UNIT), RejectReason.MIN_NOTIONAL, 50),
        ({"min_notional": 50}, (5, 10 * UNIT), (5, 10 * UNIT - 1), RejectReason.MIN_NOTIONAL, 50),
        ({"min_price": 90}, (5, 90), (5, 89), RejectReason.PRICE_TOO_LOW, 90),
        ({"max_price": 110}, (5, 110), (5, 111), RejectReason.PRICE_TOO_HIGH, 110),
        ({}, (5, MOST), (5, MOST + 1), RejectReason.PRICE_TOO_HIGH, MOST),
    ],
)
def test_a_rule_is_kept_to_its_edge_and_broken_one_unit_beyond(
    market: Market,
    *,
    rules: dict[str, Any],
    keeps: tuple[int, int],
    breaks: tuple[int, int],
    reason: RejectReason,
    limit: int,
) -> None:
    market.set_rules(**rules)
    quantity, price = keeps
    assert market.buy("keeps", quantity, price) == [
        market.matched("keeps", BUY, quantity, price, rested=quantity)
    ]
    assert market.buy("breaks", *breaks) == [market.refused("breaks", reason, limit=limit)]
    assert market.bids == [("keeps", quantity, price)]


# The band about the last trade.


@pytest.mark.parametrize(
    ("last", "percent", "low", "high"),
    [
        (1_000, 10 * UNIT, 900, 1_100),
        (1_000, UNIT // 2, 995, 1_005),  # half a percent
        (999, 10 * UNIT, 900, 1_098),  # 99.9 are not reached
        (9, 10 * UNIT, 9, 9),
        (1_000, 100 * UNIT, 1, 2_000),
        (1_000, 250 * UNIT, 1, 3_500),
    ],
)
def test_a_band_is_so_far_from_the_last_trade(
    market: Market, last: int, percent: int, low: int, high: int
) -> None:
    market.set_rules(band_percent=percent)
    market.sell("first", 1, last)
    market.buy("trades", 1, last)
    assert market.buy("low", 1, low) == [market.matched("low", BUY, 1, low, rested=1)]
    market.cancel("low")
    assert market.sell("high", 1, high) == [market.matched("high", SELL, 1, high, rested=1)]
    assert market.sell("too high", 1, high + 1) == [
        market.refused("too high", RejectReason.PRICE_TOO_HIGH, limit=high)
    ]
    if low > 1:
        assert market.buy("too low", 1, low - 1) == [
            market.refused("too low", RejectReason.PRICE_TOO_LOW, limit=low)
        ]


def test_there_is_no_band_before_the_first_trade(market: Market) -> None:
    market.set_rules(band_percent=UNIT)
    market.buy("b", 1, 1)
    assert market.sell("s", 1, MOST) == [market.matched("s", SELL, 1, MOST, rested=1)]


def test_the_narrower_of_both_bands_holds_at_each_end(market: Market) -> None:
    market.set_rules(band_percent=10 * UNIT, min_price=950, max_price=2_000)
    market.sell("first", 1, 1_000)
    market.buy("trades", 1, 1_000)
    assert market.buy("too low", 1, 949) == [
        market.refused("too low", RejectReason.PRICE_TOO_LOW, limit=950)
    ]
    assert market.buy("too high", 1, 1_101) == [
        market.refused("too high", RejectReason.PRICE_TOO_HIGH, limit=1_100)
    ]


def test_a_band_moves_with_the_last_trade(market: Market) -> None:
    market.set_rules(band_percent=10 * UNIT)
    for price in (1_000, 1_100, 1_210):
        market.sell(f"s {price}", 1, price)
        market.buy(f"b {price}", 1, price)
    assert market.book.floor.last_price == 1_210
    assert market.buy("b", 1, 1_088) == [
        market.refused("b", RejectReason.PRICE_TOO_LOW, limit=1_089)
    ]


# Orders without a price, or with a trigger.


@pytest.mark.parametrize(
    ("rules", "quantity", "reason", "limit"),
    [
        ({"lot_size": 4}, 5, RejectReason.LOT_SIZE, 4),
        ({"min_quantity": 6}, 5, RejectReason.MIN_QUANTITY, 6),
        ({"max_quantity": 4}, 5, RejectReason.MAX_QUANTITY, 4),
    ],
)
def test_rules_of_quantity_hold_for_all_orders(
    market: Market, rules: dict[str, Any], quantity: int, reason: RejectReason, limit: int
) -> None:
    market.set_rules(**rules)
    terms: dict[str, Any]
    for terms in ({"order_type": MARKET}, {"order_type": STOP, "stop_price": 100}):
        assert market.buy("b", quantity, None, **terms) == [
            market.refused("b", reason, limit=limit)
        ]


def test_orders_without_a_price_have_no_notional(market: Market) -> None:
    market.set_rules(min_notional=10**9, min_price=50, max_price=60)
    market.sell("stop", 1, None, order_type=STOP, stop_price=50)
    market.buy("m", 1, None, order_type=MARKET)
    assert [type(each) for each in market.events[-2:]] == [OrderBook.Matched] * 2


def test_an_order_by_amount_has_no_quantity_to_be_judged(market: Market) -> None:
    market.set_rules(lot_size=10, min_quantity=50, min_notional=100)
    [matched] = market.buy("m", None, None, order_type=MARKET, quote_quantity=1)
    assert isinstance(matched, OrderBook.Matched)


def test_a_trigger_is_a_multiple_of_the_tick_within_the_static_band(market: Market) -> None:
    """Where nothing can trade nothing would ever trigger it (Binance, PRICE_FILTER)."""
    market.buy("m", 1, 150)
    market.sell("t", 1, 150)
    market.set_rules(tick_size=10, min_price=100, max_price=200, band_percent=UNIT)
    assert market.buy("off", 1, None, order_type=STOP, stop_price=161) == [
        market.refused("off", RejectReason.TICK_SIZE, limit=10)
    ]
    assert market.buy("high", 1, None, order_type=STOP, stop_price=210) == [
        market.refused("high", RejectReason.PRICE_TOO_HIGH, limit=200)
    ]
    assert market.sell("low", 1, 100, order_type=STOP_LIMIT, stop_price=90) == [
        market.refused("low", RejectReason.PRICE_TOO_LOW, limit=100)
    ]
    [matched] = market.buy("far", 1, None, order_type=STOP, stop_price=200)
    assert matched.waits
    assert market.amend("far", stop_price=210) == [
        market.request_refused("far", RejectReason.PRICE_TOO_HIGH, limit=200)
    ]


def test_of_a_stop_that_waits_a_static_band_is_judged_as_it_arrives_and_no_other(
    market: Market,
) -> None:
    market.set_rules(band_percent=UNIT, max_price=1_200)
    market.sell("first", 1, 1_000)
    market.buy("trades", 1, 1_000)
    terms = {"order_type": STOP_LIMIT, "stop_price": 1_150}
    assert market.buy("waits", 1, 1_200, **terms) == [
        market.matched(
            "waits", BUY, 1, 1_200, rested=1, shown=0, waits=True, conditions=stop_limit(1_150)
        )
    ]
    assert market.buy("out", 1, 1_201, **terms) == [
        market.refused("out", RejectReason.PRICE_TOO_HIGH, limit=1_200)
    ]


# Changes, and rules that change.


@pytest.mark.parametrize(
    ("changes", "reason", "limit"),
    [
        ({"price": 101}, RejectReason.TICK_SIZE, 10),
        ({"quantity": 7}, RejectReason.LOT_SIZE, 2),
        ({"quantity": 4}, RejectReason.MIN_QUANTITY, 5),
        ({"quantity": 22}, RejectReason.MAX_QUANTITY, 20),
        ({"price": 80}, RejectReason.PRICE_TOO_LOW, 90),
        ({"price": 120}, RejectReason.PRICE_TOO_HIGH, 110),
    ],
)
def test_a_change_is_judged_by_what_it_changes_and_by_all_of_the_quantity(
    market: Market, changes: dict[str, Any], reason: RejectReason, limit: int
) -> None:
    market.buy("b", 8, 100)
    market.sell("s", 2, 100)
    market.set_rules(
        tick_size=10, lot_size=2, min_quantity=5, max_quantity=20, min_price=90, max_price=110
    )
    assert market.amend("b", **changes) == [market.request_refused("b", reason, limit)]
    assert market.bids == [("b", 6, 100)]
    assert market.amend("b", quantity=20) == [
        market.replaced("b", BUY, 20, 100, was=(6, 100), rested=18)
    ]


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ({"tick_size": 10}, {"quantity": 4}),
        ({"lot_size": 4}, {"price": 100}),
        ({"min_quantity": 8}, {"price": 100}),
        ({"min_quantity": 8}, {"quantity": 7}),  # still too small, but less so
        ({"max_quantity": 2}, {"price": 100}),
        ({"max_quantity": 2}, {"quantity": 3}),  # still too large, but less so
        ({"max_price": 90}, {"quantity": 4}),
        ({"min_notional": 100}, {"price": 102}),
    ],
)
def test_what_a_change_leaves_as_it_was_or_brings_nearer_to_a_new_rule_is_not_judged(
    market: Market, rules: dict[str, Any], changes: dict[str, Any]
) -> None:
    market.buy("b", 5, 101)
    market.set_rules(**rules)
    market.amend("b", **changes)
    new = {"quantity": 5, "price": 101, **changes}
    assert market.bids == [("b", new["quantity"], new["price"])]


@pytest.mark.parametrize(
    ("rules", "changes", "reason"),
    [
        ({"tick_size": 10}, {"price": 102}, RejectReason.TICK_SIZE),
        ({"tick_size": 10}, {"quantity": 9}, RejectReason.TICK_SIZE),  # more, at its price
        ({"max_price": 90}, {"quantity": 7}, RejectReason.PRICE_TOO_HIGH),
        ({"lot_size": 4}, {"quantity": 3}, RejectReason.LOT_SIZE),
        ({"min_quantity": 8}, {"quantity": 4}, RejectReason.MIN_QUANTITY),
        ({"max_quantity": 2}, {"quantity": 6}, RejectReason.MAX_QUANTITY),
        ({"max_price": 90}, {"price": 100}, RejectReason.PRICE_TOO_HIGH),
        ({"min_notional": 100}, {"price": 100}, RejectReason.MIN_NOTIONAL),
        ({"min_notional": 100}, {"quantity": 4}, RejectReason.MIN_NOTIONAL),
    ],
)
def test_what_a_change_leaves_no_nearer_to_a_new_rule_is_refused(
    market: Market, rules: dict[str, Any], changes: dict[str, Any], reason: RejectReason
) -> None:
    market.buy("b", 5, 101)
    market.set_rules(**rules)
    [refused] = market.amend("b", **changes)
    assert refused.reason is reason
    assert market.bids == [("b", 5, 101)]


def test_an_order_beyond_a_band_that_has_moved_may_be_reduced_but_moved_into_it_only(
    market: Market,
) -> None:
    market.buy("b", 5, 95)
    market.set_rules(band_percent=10 * UNIT)
    market.sell("s", 1, 107)
    market.buy("t", 1, 107)
    assert market.amend("b", quantity=3) == [market.reduced("b", BUY, 3, 95, remaining=3, was=5)]
    assert market.amend("b", price=96) == [
        market.request_refused("b", RejectReason.PRICE_TOO_LOW, 97)
    ]
    market.amend("b", price=97)
    assert market.bids == [("b", 3, 97)]


def test_what_prevention_has_made_too_small_may_be_moved(market: Market) -> None:
    market.set_rules(min_quantity=4, lot_size=2)
    market.buy("b", 5 + 3, 100)
    market.sell("s", 6, 100, self_trade_prevention=SelfTradePrevention.DECREMENT)
    assert market.bids == [("b", 2, 100)]
    market.amend("b", price=101)
    assert market.bids == [("b", 2, 101)]


# Slices.


def test_what_an_iceberg_shows_is_whole_lots(market: Market) -> None:
    """Each slice is traded by itself: else nobody could take whole lots (Binance, LOT_SIZE)."""
    market.set_rules(lot_size=4, min_quantity=8)
    assert market.sell("ice", 12, 100, display_quantity=3) == [
        market.refused("ice", RejectReason.LOT_SIZE, limit=4)
    ]
    market.sell("ice", 12, 100, display_quantity=4)  # a slice is no order: less than 8 is right
    assert market.amend("ice", display_quantity=6) == [
        market.request_refused("ice", RejectReason.LOT_SIZE, limit=4)
    ]
    market.amend("ice", display_quantity=8)
    assert market.asks == [("ice", 12, 100)]


def test_an_iceberg_from_before_a_larger_lot_keeps_its_slices(market: Market) -> None:
    market.sell("ice", 12, 100, display_quantity=3)
    market.set_rules(lot_size=4)
    market.amend("ice", quantity=8)
    assert market.asks == [("ice", 8, 100)]
    assert market.amend("ice", quantity=16) == [
        market.request_refused("ice", RejectReason.LOT_SIZE, limit=4)
    ]


# What is delisted.


def test_the_last_trade_of_what_was_delisted_says_nothing_of_what_is_listed_again(
    market: Market,
) -> None:
    market.sell("s", 1, 100)
    market.buy("b", 1, 100)
    market.set_rules(status=TradingStatus.DELISTED)
    market.set_rules(band_percent=10 * UNIT)
    assert market.sell("far", 1, 500) == [market.matched("far", SELL, 1, 500, rested=1)]
    [matched] = market.buy("stop", 1, None, order_type=STOP, stop_price=50)
    assert matched.waits
    [matched] = market.buy("taker", 1, 500)
    assert [each.trade_id for each in matched.fills] == [2]


def test_orders_that_rest_are_not_judged_again(market: Market) -> None:
    market.buy("b", 5, 101)
    rules: dict[str, Any] = {"tick_size": 10, "lot_size": 10, "min_price": 500}
    assert market.set_rules(**rules) == [
        market.of_all(
            OrderBook.InstrumentChanged, "operator", instrument=Instrument(**rules), departed=()
        )
    ]
    assert market.bids == [("b", 5, 101)]
    assert market.cancel("b") == [market.cancelled("b", BUY, 5, 101)]


def test_rules_are_given_whole(market: Market) -> None:
    market.set_rules(tick_size=10, min_quantity=5)
    market.set_rules(lot_size=2)
    assert market.buy("b", 2, 101) == [market.matched("b", BUY, 2, 101, rested=2)]


def test_the_order_tells_the_rule_and_what_it_allows(exchange: Exchange) -> None:
    exchange.set_rules(max_quantity=5)
    exchange.buy("b", 6, 100)
    assert exchange.story("b")[1:] == [
        told(
            Order.Rejected,
            originator_id=order_id("b"),
            originator_version=2,
            timestamp=seconds(2),
            user_id="user",
            asset="BTC-USD",
            book_version=2,
            status=OrderStatus.REJECTED,
            reason=RejectReason.MAX_QUANTITY,
            limit=5,
        )
    ]
    assert (exchange["b"].reason, exchange["b"].limit) == (RejectReason.MAX_QUANTITY, 5)


def test_a_band_about_a_last_trade_beyond_the_static_ends_begins_at_them(market: Market) -> None:
    """Else nothing could ever trade again."""
    market.sell("a", 1, 50)
    market.buy("b", 1, 50)
    market.set_rules(min_price=100, max_price=200, band_percent=10 * UNIT)
    assert market.buy("low", 1, 99) == [
        market.refused("low", RejectReason.PRICE_TOO_LOW, limit=100)
    ]
    assert market.buy("high", 1, 111) == [
        market.refused("high", RejectReason.PRICE_TOO_HIGH, limit=110)
    ]
    market.buy("in", 1, 110)
    assert market.bids == [("in", 1, 110)]
