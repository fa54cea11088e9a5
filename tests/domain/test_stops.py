"""A stop waits, seen by nobody, until a trade triggers it; then it is what it was to be."""

from typing import Any

import pytest

from domain.errors import RejectReason
from domain.facts import Fill
from domain.values import Conditions, OrderType, Side, TimeInForce
from tests.domain.support import Event, Market, fill, order_id
from tests.domain.words import (
    BUY,
    SELL,
    STOP,
    STOP_LIMIT,
    TOO_LITTLE,
    UNIT,
    execution,
    stop,
    stop_limit,
)


def trade(market: Market, price: int, quantity: int = 1) -> list[Event]:
    """A trade at a price, which leaves nothing else; returns what the taker led to."""
    market.sell(f"maker {market.commands}", quantity, price)
    return market.buy(f"taker {market.commands}", quantity, price)


def traded(market: Market, price: int, trade_id: int, **facts: Any) -> list[Event]:
    """What ``trade`` returns: the last command was its taker."""
    number = market.commands
    maker = fill(trade_id, f"maker {number - 2}", price, 1, left=0)
    return [market.matched(f"taker {number - 1}", BUY, 1, price, fills=[maker], **facts)]


def waiting(market: Market) -> list[str]:
    return [market.names[order.order_id] for order in market.book.floor.stops]


def test_it_waits_and_nobody_sees_it_or_trades_with_it(market: Market) -> None:
    terms = {"order_type": STOP_LIMIT, "stop_price": 105}
    assert market.buy("stop", 5, 106, **terms) == [
        market.matched(
            "stop", BUY, 5, 106, rested=5, shown=0, waits=True, conditions=stop_limit(105)
        )
    ]
    assert (market.bids, market.asks, waiting(market)) == ([], [], ["stop"])
    assert market.sell("s", 5, 106) == [market.matched("s", SELL, 5, 106, rested=5)]


def test_a_stop_that_is_to_be_a_market_order_has_no_price(market: Market) -> None:
    assert market.sell("stop", 5, None, order_type=STOP, stop_price=95) == [
        market.matched("stop", SELL, 5, None, rested=5, shown=0, waits=True, conditions=stop(95))
    ]


@pytest.mark.parametrize("price", [99, 100, 101])
@pytest.mark.parametrize("take_profit", [False, True])
@pytest.mark.parametrize("side", Side)
def test_a_trade_at_its_trigger_or_past_it_triggers_it(
    market: Market, side: Side, price: int, *, take_profit: bool
) -> None:
    market.place("stop", side, 5, None, order_type=STOP, stop_price=100, take_profit=take_profit)
    waits_for_a_rise = (side, take_profit) in {(BUY, False), (SELL, True)}
    reached = {100, 101} if waits_for_a_rise else {100, 99}
    came = execution("stop", side, 5, None, reason=TOO_LITTLE)
    triggered = [came] if price in reached else []
    assert trade(market, price) == traded(market, price, 1, triggered=triggered)
    assert waiting(market) == ([] if triggered else ["stop"])


def test_quotes_trigger_nothing(market: Market) -> None:
    market.buy("stop", 5, None, order_type=STOP, stop_price=105)
    market.sell("stop too", 5, None, order_type=STOP, stop_price=95)
    assert market.sell("ask", 1, 200) == [market.matched("ask", SELL, 1, 200, rested=1)]
    assert market.buy("bid", 1, 10) == [market.matched("bid", BUY, 1, 10, rested=1)]
    assert market.cancel("ask") == [market.cancelled("ask", SELL, 1, 200)]
    assert waiting(market) == ["stop", "stop too"]


def test_then_a_stop_is_a_market_order_and_its_rest_expires(market: Market) -> None:
    market.buy("stop", 5, None, order_type=STOP, stop_price=100)
    market.sell("far", 3, 500)
    fills = [fill(2, "far", 500, 3, left=0)]
    assert trade(market, 100) == traded(
        market,
        100,
        1,
        triggered=[execution("stop", BUY, 5, None, fills, reason=TOO_LITTLE)],
    )
    assert (market.bids, market.asks, waiting(market)) == ([], [], [])


def test_then_a_stop_limit_is_a_limit_order_and_its_rest_rests(market: Market) -> None:
    market.buy("stop", 5, 102, order_type=STOP_LIMIT, stop_price=100)
    market.sell("near", 3, 101)
    market.sell("far", 3, 103)
    fills = [fill(2, "near", 101, 3, left=0)]
    assert trade(market, 100) == traded(
        market, 100, 1, triggered=[execution("stop", BUY, 5, 102, fills, rested=2)]
    )
    assert (market.bids, market.asks) == ([("stop", 2, 102)], [("far", 3, 103)])
    assert market.sell("s", 2, 102) == [
        market.matched("s", SELL, 2, 102, fills=[fill(3, "stop", 102, 2, left=0)])
    ]


def test_where_the_last_trade_is_through_it_triggers_at_once(market: Market) -> None:
    trade(market, 100)
    market.buy("bid", 2, 90)
    assert market.sell("stop", 5, None, order_type=STOP, stop_price=100) == [
        market.matched(
            "stop",
            SELL,
            5,
            None,
            rested=5,
            shown=0,
            waits=True,
            conditions=stop(100),
            triggered=[
                execution("stop", SELL, 5, None, [fill(2, "bid", 90, 2, left=0)], reason=TOO_LITTLE)
            ],
        )
    ]
    assert waiting(market) == []


def test_where_the_last_trade_is_a_unit_away_it_waits(market: Market) -> None:
    trade(market, 101)
    market.buy("bid", 2, 90)
    assert market.sell("stop", 5, None, order_type=STOP, stop_price=100) == [
        market.matched("stop", SELL, 5, None, rested=5, shown=0, waits=True, conditions=stop(100))
    ]


def test_it_can_be_cancelled_while_it_waits(market: Market) -> None:
    market.sell("stop", 5, None, order_type=STOP, stop_price=100)
    assert market.cancel("stop") == [market.cancelled("stop", SELL, 5, None, shown=0)]
    assert trade(market, 100) == traded(market, 100, 1)
    assert market.cancel("stop") == [market.request_refused("stop", RejectReason.ORDER_NOT_OPEN)]


# What it is once its trigger has come.


@pytest.mark.parametrize(
    ("time_in_force", "fills", "rested", "reason"),
    [
        (TimeInForce.GTC, [fill(2, "ask", 101, 2, left=0)], 3, None),
        (TimeInForce.IOC, [fill(2, "ask", 101, 2, left=0)], 0, TOO_LITTLE),
        (TimeInForce.FOK, [], 0, TOO_LITTLE),
    ],
)
def test_a_stop_limit_waits_and_then_does_as_its_time_in_force_says(
    market: Market, time_in_force: TimeInForce, fills: list[Fill], rested: int, reason: Any
) -> None:
    """Binance, STOP_LOSS_LIMIT: it takes any time in force that a LIMIT order takes."""
    terms = {"order_type": STOP_LIMIT, "stop_price": 100, "time_in_force": time_in_force}
    market.sell("ask", 2, 101)
    [placed] = market.buy("stop", 5, 101, **terms)
    assert (placed.waits, placed.rested) == (True, 5)
    assert trade(market, 100) == traded(
        market,
        100,
        1,
        triggered=[execution("stop", BUY, 5, 101, fills, rested=rested, reason=reason)],
    )
    assert waiting(market) == []


# What is judged when its trigger comes.


def test_a_stop_that_is_post_only_is_rejected_where_it_would_take_then(market: Market) -> None:
    terms = {"order_type": STOP_LIMIT, "stop_price": 100, "post_only": True}
    market.sell("ask", 1, 101)
    assert market.buy("stop", 5, 101, **terms) == [
        market.matched(
            "stop",
            BUY,
            5,
            101,
            rested=5,
            shown=0,
            waits=True,
            conditions=stop_limit(100, post_only=True),
        )
    ]
    rejection = RejectReason.POST_ONLY_WOULD_TAKE
    assert trade(market, 100) == traded(
        market, 100, 1, triggered=[execution("stop", BUY, 5, 101, rejection=rejection)]
    )
    assert (market.bids, market.asks, waiting(market)) == ([], [("ask", 1, 101)], [])


def test_a_stop_that_is_post_only_rests_where_it_would_not_take(market: Market) -> None:
    terms = {"order_type": STOP_LIMIT, "stop_price": 100, "post_only": True}
    market.buy("stop", 5, 101, **terms)
    assert trade(market, 100) == traded(
        market, 100, 1, triggered=[execution("stop", BUY, 5, 101, rested=5)]
    )
    assert market.bids == [("stop", 5, 101)]


def test_the_band_is_that_of_the_trade_that_triggered_it(market: Market) -> None:
    market.set_rules(band_percent=10 * UNIT)
    terms = {"order_type": STOP_LIMIT, "stop_price": 1_000}
    market.buy("inside", 5, 1_100, **terms)
    market.buy("outside", 5, 1_101, **terms)
    too_high: dict[str, Any] = {"rejection": RejectReason.PRICE_TOO_HIGH, "limit": 1_100}
    assert trade(market, 1_000) == traded(
        market,
        1_000,
        1,
        triggered=[
            execution("inside", BUY, 5, 1_100, rested=5),
            execution("outside", BUY, 5, 1_101, **too_high),
        ],
    )
    assert market.bids == [("inside", 5, 1_100)]


def test_an_iceberg_shows_its_slice_from_then_on(market: Market) -> None:
    terms: dict[str, Any] = {"order_type": STOP_LIMIT, "stop_price": 100, "display_quantity": 2}
    market.sell("stop", 5, 110, take_profit=True, **terms)
    assert trade(market, 100) == traded(
        market, 100, 1, triggered=[execution("stop", SELL, 5, 110, rested=5, shown=2)]
    )
    order = market.book.book.orders[order_id("stop")]
    assert order.conditions == Conditions(
        order_type=OrderType.STOP_LIMIT, stop_price=100, display_quantity=2, take_profit=True
    )
    assert market.buy("b", 3, 110) == [
        market.matched(
            "b",
            BUY,
            3,
            110,
            fills=[
                fill(2, "stop", 110, 2, left=3, refill=2),
                fill(3, "stop", 110, 1, left=2),
            ],
        )
    ]
