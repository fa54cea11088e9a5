"""An FOK order trades all of its quantity at once, or nothing."""

from typing import Any

import pytest

from domain.errors import RejectReason
from domain.order import Order, OrderFill
from domain.values import Liquidity, OrderStatus
from tests.domain.support import Event, Exchange, Market, fill, order_id, seconds, told
from tests.domain.words import BUY, FOK, GTD, SELL, STOP_LIMIT, TOO_LITTLE, departure


def buy(market: Market, quantity: int, price: int, **terms: Any) -> list[Event]:
    return market.buy("fok", quantity, price, time_in_force=FOK, **terms)


def killed(market: Market, quantity: int, price: int, **facts: Any) -> list[Event]:
    return [market.matched("fok", BUY, quantity, price, reason=TOO_LITTLE, **facts)]


def test_it_trades_with_all_levels_and_orders_that_it_needs(market: Market) -> None:
    market.sell("a", 2, 100)
    market.sell("b", 3, 101)
    market.sell("c", 5, 100)
    assert buy(market, 9, 101) == [
        market.matched(
            "fok",
            BUY,
            9,
            101,
            fills=[
                fill(1, "a", 100, 2, left=0),
                fill(2, "c", 100, 5, left=0),
                fill(3, "b", 101, 2, left=1),
            ],
        )
    ]
    assert (market.bids, market.asks) == ([], [("b", 1, 101)])


def test_a_sale_does_the_same(market: Market) -> None:
    market.buy("a", 2, 100)
    market.buy("b", 3, 99)
    assert market.sell("fok", 5, 99, time_in_force=FOK) == [
        market.matched(
            "fok",
            SELL,
            5,
            99,
            fills=[fill(1, "a", 100, 2, left=0), fill(2, "b", 99, 3, left=0)],
        )
    ]


@pytest.mark.parametrize("quantity", [11, 10**18])
def test_one_too_few_and_nothing_happens_at_all(market: Market, quantity: int) -> None:
    market.sell("a", 2, 100)
    market.sell("b", 8, 101)
    assert buy(market, quantity, 101) == killed(market, quantity, 101)
    assert (market.bids, market.asks) == ([], [("a", 2, 100), ("b", 8, 101)])
    assert (market.book.last_trade_id, market.book.floor.last_price) == (0, None)


def test_exactly_enough_is_enough(market: Market) -> None:
    market.sell("a", 2, 100)
    market.sell("b", 8, 101)
    assert buy(market, 10, 101) == [
        market.matched(
            "fok",
            BUY,
            10,
            101,
            fills=[fill(1, "a", 100, 2, left=0), fill(2, "b", 101, 8, left=0)],
        )
    ]
    assert (market.bids, market.asks) == ([], [])


def test_what_is_beyond_its_price_does_not_count(market: Market) -> None:
    market.sell("a", 5, 100)
    market.sell("b", 5, 102)
    assert buy(market, 6, 101) == killed(market, 6, 101)
    assert market.asks == [("a", 5, 100), ("b", 5, 102)]


def test_an_empty_book_kills_it(market: Market) -> None:
    assert buy(market, 1, 100) == killed(market, 1, 100)


def test_all_of_an_iceberg_counts_and_not_what_it_shows(market: Market) -> None:
    market.sell("ice", 7, 100, display_quantity=3)
    market.sell("plain", 2, 100)
    assert buy(market, 9, 100) == [
        market.matched(
            "fok",
            BUY,
            9,
            100,
            fills=[
                fill(1, "ice", 100, 3, left=4, refill=3),
                fill(2, "plain", 100, 2, left=0),
                fill(3, "ice", 100, 3, left=1, refill=1),
                fill(4, "ice", 100, 1, left=0),
            ],
        )
    ]
    assert market.asks == []


def test_more_than_all_of_an_iceberg_leaves_it_untouched(market: Market) -> None:
    market.sell("ice", 7, 100, display_quantity=3)
    assert buy(market, 8, 100) == killed(market, 8, 100)
    assert market.asks == [("ice", 7, 100)]
    assert market.book.book.orders[order_id("ice")].shown == 3


def test_stops_that_wait_are_no_liquidity(market: Market) -> None:
    market.sell("s", 5, 100, order_type=STOP_LIMIT, stop_price=90)
    assert buy(market, 5, 100) == killed(market, 5, 100)


def test_what_expires_at_its_time_is_no_liquidity_but_leaves(market: Market) -> None:
    market.sell("s", 5, 100, time_in_force=GTD, expires_at=seconds(2))
    assert buy(market, 5, 100, at=seconds(2)) == killed(
        market, 5, 100, expired=[departure("s", SELL, 5, 100)]
    )


def test_what_was_killed_can_neither_be_cancelled_nor_amended(market: Market) -> None:
    buy(market, 5, 100)
    not_open = RejectReason.ORDER_NOT_OPEN
    assert market.cancel("fok") == [market.request_refused("fok", not_open)]
    assert market.amend("fok", quantity=1) == [market.request_refused("fok", not_open)]


def test_its_story_is_one_event(exchange: Exchange) -> None:
    exchange.sell("a", 2, 100)
    buy(exchange, 3, 100)
    assert exchange["fok"].pending_events[1:] == [
        told(
            Order.Expired,
            originator_id=order_id("fok"),
            originator_version=2,
            timestamp=seconds(2),
            user_id="user",
            asset="BTC-USD",
            book_version=2,
            status=OrderStatus.EXPIRED,
            reason=TOO_LITTLE,
        )
    ]
    assert len(exchange["a"].pending_events) == 2, "placed, opened, and not touched"


def test_a_story_of_success_is_one_event_too(exchange: Exchange) -> None:
    exchange.sell("a", 2, 100)
    buy(exchange, 2, 100)
    assert exchange["fok"].pending_events[1:] == [
        told(
            Order.Filled,
            originator_id=order_id("fok"),
            originator_version=2,
            timestamp=seconds(2),
            user_id="user",
            asset="BTC-USD",
            book_version=2,
            status=OrderStatus.FILLED,
            fills=(OrderFill(1, 100, 2, Liquidity.TAKER),),
        )
    ]
