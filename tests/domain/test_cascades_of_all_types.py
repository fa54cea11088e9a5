"""Cascades that changes and stops begin, and that bands, prevention and icebergs shape."""

from typing import Any

from domain.errors import CancelReason, RejectReason
from domain.order import Order, OrderFill
from domain.order_book import OrderBook
from domain.values import Liquidity, OrderStatus, SelfTradePrevention
from tests.domain.support import Exchange, Market, fill, order_id, seconds, told
from tests.domain.test_stop_cascades import nothing, wait_to_buy, wait_to_sell
from tests.domain.words import (
    BUY,
    GTD,
    PREVENTED,
    SELL,
    STOP,
    STOP_LIMIT,
    UNIT,
    execution,
    gone,
    stop,
)


def test_bands_are_judged_at_each_ones_turn(market: Market) -> None:
    """The first one trades at 1090, so that 1199 is within ten per cent, and 1200 is not."""
    market.set_rules(band_percent=10 * UNIT)
    wait_to_buy(market, "mover", 1, 1_000)
    for price in (1_199, 1_200):
        terms = {"order_type": STOP_LIMIT, "stop_price": 1_000}
        market.buy(f"at {price}", 1, price, **terms)
    market.sell("a", 1, 1_000)
    market.sell("b", 1, 1_090)
    too_high: dict[str, Any] = {"rejection": RejectReason.PRICE_TOO_HIGH, "limit": 1_199}
    assert market.buy("taker", 1, 1_000) == [
        market.matched(
            "taker",
            BUY,
            1,
            1_000,
            fills=[fill(1, "a", 1_000, 1, left=0)],
            triggered=[
                execution("mover", BUY, 1, None, [fill(2, "b", 1_090, 1, left=0)]),
                execution("at 1199", BUY, 1, 1_199, rested=1),
                execution("at 1200", BUY, 1, 1_200, **too_high),
            ],
        )
    ]


def test_a_change_that_trades_begins_one_too(market: Market) -> None:
    wait_to_buy(market, "stop", 1, 100)
    market.sell("ask", 1, 100)
    market.buy("mover", 1, 90)
    assert market.amend("mover", price=100) == [
        market.replaced(
            "mover",
            BUY,
            1,
            100,
            was=(1, 90),
            fills=[fill(1, "ask", 100, 1, left=0)],
            triggered=[nothing("stop")],
        )
    ]


def test_a_stop_that_triggers_as_it_arrives_begins_one_too(market: Market) -> None:
    market.sell("ask", 1, 100)
    market.buy("b", 1, 100)
    wait_to_sell(market, "further", 1, 90)
    market.buy("bid", 1, 90)
    assert market.sell("stop", 1, None, order_type=STOP, stop_price=100) == [
        market.matched(
            "stop",
            SELL,
            1,
            None,
            rested=1,
            shown=0,
            waits=True,
            conditions=stop(100),
            triggered=[
                execution("stop", SELL, 1, None, [fill(2, "bid", 90, 1, left=0)]),
                nothing("further", SELL),
            ],
        )
    ]


def test_a_triggered_market_order_stops_at_the_band_of_its_turn(market: Market) -> None:
    wait_to_buy(market, "stop", 3, 1_000)
    market.sell("a", 1, 1_000)
    market.sell("inside", 1, 1_100)
    market.sell("outside", 1, 1_101)
    market.set_rules(band_percent=10 * UNIT)
    assert market.buy("taker", 1, 1_000) == [
        market.matched(
            "taker",
            BUY,
            1,
            1_000,
            fills=[fill(1, "a", 1_000, 1, left=0)],
            triggered=[
                execution(
                    "stop",
                    BUY,
                    3,
                    None,
                    [fill(2, "inside", 1_100, 1, left=0)],
                    reason=CancelReason.PRICE_BAND,
                )
            ],
        )
    ]
    assert market.asks == [("outside", 1, 1_101)]


def test_a_post_only_stop_is_judged_after_what_came_before_it_in_the_queue(
    market: Market,
) -> None:
    """The first one takes the ask that the post-only one would have taken."""
    wait_to_buy(market, "taking", 1, 100)
    terms = {"order_type": STOP_LIMIT, "stop_price": 100, "post_only": True}
    market.buy("posting", 1, 101, **terms)
    market.sell("a", 1, 100)
    market.sell("b", 1, 101)
    assert market.buy("taker", 1, 100) == [
        market.matched(
            "taker",
            BUY,
            1,
            100,
            fills=[fill(1, "a", 100, 1, left=0)],
            triggered=[
                execution("taking", BUY, 1, None, [fill(2, "b", 101, 1, left=0)]),
                execution("posting", BUY, 1, 101, rested=1),
            ],
        )
    ]
    assert market.bids == [("posting", 1, 101)]


def test_a_stop_meets_the_slices_that_the_trade_before_it_left(market: Market) -> None:
    wait_to_buy(market, "stop", 3, 100)
    market.sell("ice", 6, 100, display_quantity=2)
    assert market.buy("taker", 1, 100) == [
        market.matched(
            "taker",
            BUY,
            1,
            100,
            fills=[fill(1, "ice", 100, 1, left=5)],
            triggered=[
                execution(
                    "stop",
                    BUY,
                    3,
                    None,
                    [
                        fill(2, "ice", 100, 1, left=4, refill=2),
                        fill(3, "ice", 100, 2, left=2, refill=2),
                    ],
                )
            ],
        )
    ]
    assert market.asks == [("ice", 2, 100)]


def test_a_stop_that_rested_can_be_filled_and_cancelled_in_the_cascade_that_triggered_it(
    exchange: Exchange,
) -> None:
    """Its order tells all of it in one event."""
    resting = {"order_type": STOP_LIMIT, "stop_price": 100, "take_profit": True, "user": "ann"}
    exchange.sell("rests", 3, 104, **resting)
    wait_to_buy(exchange, "takes", 2, 100)
    mode = SelfTradePrevention.CANCEL_BOTH
    wait_to_buy(exchange, "prevents", 2, 100, user="ann", self_trade_prevention=mode)
    exchange.sell("ask", 1, 100)
    assert exchange.buy("b", 1, 100) == [
        exchange.matched(
            "b",
            BUY,
            1,
            100,
            fills=[fill(1, "ask", 100, 1, left=0)],
            triggered=[
                execution("rests", SELL, 3, 104, user_id="ann", rested=3),
                execution("takes", BUY, 2, None, [fill(2, "rests", 104, 2, left=1, user="ann")]),
                execution(
                    "prevents",
                    BUY,
                    2,
                    None,
                    user_id="ann",
                    prevented=(gone("rests", 104, 3, left=1),),
                    reason=PREVENTED,
                ),
            ],
        )
    ]
    assert exchange.story("rests")[2:] == [
        told(
            Order.Triggered,
            originator_id=order_id("rests"),
            originator_version=3,
            timestamp=seconds(5),
            user_id="ann",
            asset="BTC-USD",
            book_version=5,
            status=OrderStatus.CANCELLED,
            reason=PREVENTED,
            fills=(OrderFill(2, 104, 2, Liquidity.MAKER),),
        )
    ]
    assert (exchange["rests"].quantity, exchange["rests"].filled_quantity) == (3, 2)


def test_the_last_trade_of_a_sweep_is_the_last_trade(market: Market) -> None:
    market.sell("a", 1, 100)
    market.sell("b", 1, 101)
    market.buy("sweep", 2, 101)
    assert market.buy("stop", 1, None, order_type=STOP, stop_price=101) == [
        market.matched(
            "stop",
            BUY,
            1,
            None,
            rested=1,
            shown=0,
            waits=True,
            conditions=stop(101),
            triggered=[nothing("stop")],
        )
    ]


def test_a_stop_that_was_triggered_to_its_end_has_no_time_any_more(market: Market) -> None:
    ends = {"time_in_force": GTD, "expires_at": seconds(60)}
    wait_to_buy(market, "stop", 1, 100, **ends)
    market.sell("a", 1, 100)
    market.buy("b", 1, 100)
    assert market.book.floor.expiries.ends() == {}
    assert market.pass_time(seconds(60)) == [market.of_all(OrderBook.Expired, "clock")]
