"""Faults that other matching engines are known for: one test each that this one has not got it."""

from typing import Any

import pytest

from domain.errors import CancelReason, RejectReason
from domain.values import SelfTradePrevention, Side, TimeInForce
from tests.domain.support import Market, fill, order_id
from tests.domain.words import (
    BUY,
    FOK,
    IOC,
    MARKET,
    SELL,
    STOP,
    TOO_LITTLE,
    UNIT,
    execution,
)

NOT_OPEN = RejectReason.ORDER_NOT_OPEN


@pytest.mark.parametrize(("side", "makers", "takers"), [(BUY, 100, 150), (SELL, 100, 50)])
def test_a_fill_is_not_at_the_price_of_the_taker(
    market: Market, side: Side, makers: int, takers: int
) -> None:
    market.place("maker", side.opposite, 5, makers)
    assert market.place("taker", side, 5, takers) == [
        market.matched("taker", side, 5, takers, fills=[fill(1, "maker", makers, 5, left=0)])
    ]


@pytest.mark.parametrize("side", Side)
def test_a_best_price_is_not_stale_after_a_cancel(market: Market, side: Side) -> None:
    best, next_best = (100, 99) if side is BUY else (100, 101)
    market.place("best", side, 5, best)
    market.place("next", side, 5, next_best)
    market.cancel("best")
    assert market.place("taker", side.opposite, 5, next_best) == [
        market.matched(
            "taker",
            side.opposite,
            5,
            next_best,
            fills=[fill(1, "next", next_best, 5, left=0)],
        )
    ]
    market.place("last", side, 5, best)
    market.cancel("last")
    assert market.place("nobody there", side.opposite, 5, next_best) == [
        market.matched("nobody there", side.opposite, 5, next_best, rested=5)
    ]


def test_a_filled_order_can_not_be_cancelled(market: Market) -> None:
    market.sell("maker", 5, 100)
    market.buy("part", 2, 100)
    market.buy("rest", 3, 100)
    for name in ("maker", "part", "rest"):
        assert market.cancel(name) == [market.request_refused(name, NOT_OPEN)]
    assert market.sell("next", 5, 100) == [market.matched("next", SELL, 5, 100, rested=5)]


def test_the_rest_of_an_ioc_does_not_rest(market: Market) -> None:
    market.sell("s", 2, 100)
    assert market.buy("ioc", 5, 100, time_in_force=IOC) == [
        market.matched("ioc", BUY, 5, 100, fills=[fill(1, "s", 100, 2, left=0)], reason=TOO_LITTLE)
    ]
    assert market.sell("next", 3, 100) == [market.matched("next", SELL, 3, 100, rested=3)]
    assert (market.bids, market.asks) == ([], [("next", 3, 100)])


@pytest.mark.parametrize("changes", [{"price": 105}, {"price": 105, "quantity": 1}])
def test_an_amend_does_not_leave_the_book_crossed(market: Market, changes: dict[str, Any]) -> None:
    market.sell("ask", 9, 100)
    market.buy("bid", 5, 95)
    quantity = changes.get("quantity", 5)
    assert market.amend("bid", **changes) == [
        market.replaced(
            "bid",
            BUY,
            quantity,
            105,
            was=(5, 95),
            fills=[fill(1, "ask", 100, quantity, left=9 - quantity)],
        )
    ]
    assert (market.bids, market.asks) == ([], [("ask", 9 - quantity, 100)])


def test_a_fok_is_not_judged_maker_by_maker(market: Market) -> None:
    """No maker has enough alone; together they have."""
    for number in range(3):
        market.sell(f"s{number}", 2, 100 + number)
    assert market.buy("fok", 6, 102, time_in_force=FOK) == [
        market.matched(
            "fok",
            BUY,
            6,
            102,
            fills=[fill(number + 1, f"s{number}", 100 + number, 2, left=0) for number in range(3)],
        )
    ]


def test_a_fok_that_is_too_large_does_not_trade_with_the_first_makers(market: Market) -> None:
    for number in range(3):
        market.sell(f"s{number}", 2, 100 + number)
    assert market.buy("fok", 7, 102, time_in_force=FOK) == [
        market.matched("fok", BUY, 7, 102, reason=TOO_LITTLE)
    ]
    assert market.asks == [(f"s{number}", 2, 100 + number) for number in range(3)]


def test_a_cascade_does_not_stop_after_one_pass(market: Market) -> None:
    """The third stop's trigger is reached by nothing but the trade of the second one."""
    for price in (100, 99, 98, 97):
        market.buy(f"bid {price}", 1, price)
    for price in (98, 99, 100):  # the last to be triggered was the first to wait
        market.sell(f"stop {price}", 1, None, order_type=STOP, stop_price=price)
    assert market.sell("s", 1, 100) == [
        market.matched(
            "s",
            SELL,
            1,
            100,
            fills=[fill(1, "bid 100", 100, 1, left=0)],
            triggered=[
                execution("stop 100", SELL, 1, None, [fill(2, "bid 99", 99, 1, left=0)]),
                execution("stop 99", SELL, 1, None, [fill(3, "bid 98", 98, 1, left=0)]),
                execution("stop 98", SELL, 1, None, [fill(4, "bid 97", 97, 1, left=0)]),
            ],
        )
    ]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("in_force", [TimeInForce.IOC, TimeInForce.FOK])
def test_a_market_order_does_not_rest_at_a_price_of_0(
    market: Market, side: Side, in_force: TimeInForce
) -> None:
    terms: dict[str, Any] = {"order_type": MARKET, "time_in_force": in_force}
    assert market.place("m", side, 5, None, **terms) == [
        market.matched("m", side, 5, None, reason=TOO_LITTLE)
    ]
    assert market.cancel("m") == [market.request_refused("m", NOT_OPEN)]
    assert market.place("next", side.opposite, 5, 1) == [
        market.matched("next", side.opposite, 5, 1, rested=5)
    ]


@pytest.mark.parametrize("amount", [1, 99, 100, 101, 250, 999])
def test_an_order_by_amount_does_not_overspend(market: Market, amount: int) -> None:
    prices = {"a": 7 * UNIT, "b": 11 * UNIT, "c": 1_300_000_001}
    for name, price in prices.items():
        market.sell(name, 10, price)
    [matched] = market.buy("m", None, None, order_type=MARKET, quote_quantity=amount)
    spent = sum(each.price * each.quantity for each in matched.fills)
    assert spent <= amount * UNIT
    left = amount * UNIT - spent
    if matched.reason is CancelReason.NO_WHOLE_LOT:
        best = market.asks[0][2]
        assert best is not None
        assert left < best, "it could have bought one more"
    else:
        assert (matched.reason, market.asks) == (TOO_LITTLE, [])


def test_an_iceberg_does_not_vanish_after_its_first_slice(market: Market) -> None:
    market.sell("ice", 5, 100, display_quantity=2)
    assert market.buy("b1", 2, 100) == [
        market.matched("b1", BUY, 2, 100, fills=[fill(1, "ice", 100, 2, left=3, refill=2)])
    ]
    assert market.asks == [("ice", 3, 100)]
    assert market.buy("b2", 2, 100) == [
        market.matched("b2", BUY, 2, 100, fills=[fill(2, "ice", 100, 2, left=1, refill=1)])
    ]
    assert market.buy("b3", 1, 100) == [
        market.matched("b3", BUY, 1, 100, fills=[fill(3, "ice", 100, 1, left=0)])
    ]
    assert market.cancel("ice") == [market.request_refused("ice", NOT_OPEN)]


@pytest.mark.timeout(20)
def test_a_sweep_does_not_loop_where_a_level_empties(market: Market) -> None:
    """By cancelled makers, by filled ones, by the last slice of an iceberg."""
    market.sell("own", 5, 100, user="ann")
    market.sell("filled", 5, 101)
    market.sell("ice", 5, 102, display_quantity=2)
    terms = {"user": "ann", "self_trade_prevention": SelfTradePrevention.CANCEL_MAKER}
    [matched] = market.buy("sweep", 100, 200, **terms)
    assert [each.quantity for each in matched.fills] == [5, 2, 2, 1]
    assert [each.order_id for each in matched.prevented] == [order_id("own")]
    assert matched.rested == 90
    assert (market.bids, market.asks) == ([("sweep", 90, 200)], [])


def test_a_stop_is_not_triggered_by_quotes(market: Market) -> None:
    market.buy("stop", 1, None, order_type=STOP, stop_price=100)
    assert market.sell("ask", 1, 150) == [market.matched("ask", SELL, 1, 150, rested=1)]
    assert market.buy("bid", 1, 120) == [market.matched("bid", BUY, 1, 120, rested=1)]
    assert market.amend("bid", price=140) == [
        market.replaced("bid", BUY, 1, 140, was=(1, 120), rested=1)
    ]
    assert market.book.floor.waits(order_id("stop"))


def test_a_stop_is_not_triggered_by_a_trade_that_was_prevented(market: Market) -> None:
    market.buy("stop", 1, None, order_type=STOP, stop_price=100)
    market.sell("own", 1, 100, user="ann")
    terms = {"user": "ann", "self_trade_prevention": SelfTradePrevention.CANCEL_BOTH}
    [matched] = market.buy("b", 1, 100, **terms)
    assert (matched.fills, matched.triggered) == ((), ())
    assert market.book.floor.waits(order_id("stop"))
