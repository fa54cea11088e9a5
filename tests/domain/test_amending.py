"""An amended order keeps its place only by asking for less, or the same, at its price."""

from typing import Any

import pytest

from domain.errors import RejectReason
from domain.values import Side, TimeInForce
from tests.domain.support import Market, fill

NOT_OPEN = RejectReason.ORDER_NOT_OPEN
NOT_ABOVE_FILLED = RejectReason.QUANTITY_NOT_ABOVE_FILLED


def two_sellers(market: Market) -> None:
    market.sell("first", 10, 100)
    market.sell("second", 10, 100)


# Keeping the place.


def test_a_smaller_total_keeps_the_place(market: Market) -> None:
    two_sellers(market)
    assert market.amend("first", quantity=4) == [
        market.reduced("first", Side.SELL, 4, 100, remaining=4, was=10)
    ]
    assert market.asks == [("first", 4, 100), ("second", 10, 100)]
    assert market.buy("buyer", 5, 100) == [
        market.matched(
            "buyer",
            Side.BUY,
            5,
            100,
            fills=[fill(1, "first", 100, 4, left=0), fill(2, "second", 100, 1, left=9)],
        )
    ]


def test_a_smaller_total_with_the_same_price_said_again_keeps_the_place(market: Market) -> None:
    two_sellers(market)
    assert market.amend("first", price=100, quantity=9) == [
        market.reduced("first", Side.SELL, 9, 100, remaining=9, was=10)
    ]
    assert market.asks == [("first", 9, 100), ("second", 10, 100)]


@pytest.mark.parametrize(
    "asked", [{"quantity": 10}, {"price": 100}, {"price": 100, "quantity": 10}]
)
def test_nothing_new_keeps_the_place(market: Market, asked: dict[str, Any]) -> None:
    two_sellers(market)
    assert market.amend("first", **asked) == [
        market.reduced("first", Side.SELL, 10, 100, remaining=10, was=10)
    ]
    assert market.asks == [("first", 10, 100), ("second", 10, 100)]


def test_a_smaller_total_counts_what_is_filled_already(market: Market) -> None:
    two_sellers(market)
    market.buy("buyer", 3, 100)
    assert market.amend("first", quantity=5) == [
        market.reduced("first", Side.SELL, 5, 100, remaining=2, was=7)
    ]
    assert market.asks == [("first", 2, 100), ("second", 10, 100)]


def test_a_total_above_what_remains_but_not_above_the_old_total_keeps_the_place(
    market: Market,
) -> None:
    two_sellers(market)
    market.buy("buyer", 8, 100)
    assert market.amend("first", quantity=10) == [
        market.reduced("first", Side.SELL, 10, 100, remaining=2, was=2)
    ]
    assert market.asks == [("first", 2, 100), ("second", 10, 100)]


def test_a_total_one_above_what_is_filled_leaves_one(market: Market) -> None:
    two_sellers(market)
    market.buy("buyer", 8, 100)
    assert market.amend("first", quantity=9) == [
        market.reduced("first", Side.SELL, 9, 100, remaining=1, was=2)
    ]
    assert market.asks == [("first", 1, 100), ("second", 10, 100)]


# Losing the place.


def test_a_larger_total_goes_to_the_back_of_the_queue(market: Market) -> None:
    two_sellers(market)
    assert market.amend("first", quantity=11) == [
        market.replaced("first", Side.SELL, 11, 100, was=(10, 100), rested=11)
    ]
    assert market.asks == [("second", 10, 100), ("first", 11, 100)]


def test_going_up_and_down_again_does_not_give_the_place_back(market: Market) -> None:
    two_sellers(market)
    market.amend("first", quantity=11)
    assert market.amend("first", quantity=10) == [
        market.reduced("first", Side.SELL, 10, 100, remaining=10, was=11)
    ]
    assert market.asks == [("second", 10, 100), ("first", 10, 100)]


def test_larger_is_measured_against_the_last_total_and_not_the_first(market: Market) -> None:
    two_sellers(market)
    market.amend("first", quantity=4)
    assert market.amend("first", quantity=5) == [
        market.replaced("first", Side.SELL, 5, 100, was=(4, 100), rested=5)
    ]
    assert market.asks == [("second", 10, 100), ("first", 5, 100)]


def test_a_larger_total_counts_what_is_filled_already(market: Market) -> None:
    two_sellers(market)
    market.buy("buyer", 3, 100)
    assert market.amend("first", quantity=12) == [
        market.replaced("first", Side.SELL, 12, 100, was=(7, 100), rested=9)
    ]
    assert market.asks == [("second", 10, 100), ("first", 9, 100)]


def test_a_new_price_goes_to_the_back_of_the_queue_there(market: Market) -> None:
    two_sellers(market)
    market.sell("third", 10, 101)
    assert market.amend("first", price=101) == [
        market.replaced("first", Side.SELL, 10, 101, was=(10, 100), rested=10)
    ]
    assert market.asks == [("second", 10, 100), ("third", 10, 101), ("first", 10, 101)]


def test_a_new_price_loses_the_place_also_with_a_smaller_total(market: Market) -> None:
    two_sellers(market)
    market.sell("third", 10, 101)
    assert market.amend("first", price=101, quantity=1) == [
        market.replaced("first", Side.SELL, 1, 101, was=(10, 100), rested=1)
    ]
    assert market.asks == [("second", 10, 100), ("third", 10, 101), ("first", 1, 101)]


def test_a_new_price_and_back_again_ends_at_the_back(market: Market) -> None:
    two_sellers(market)
    market.amend("first", price=101)
    assert market.amend("first", price=100) == [
        market.replaced("first", Side.SELL, 10, 100, was=(10, 101), rested=10)
    ]
    assert market.asks == [("second", 10, 100), ("first", 10, 100)]


def test_a_better_price_that_does_not_cross_becomes_the_best(market: Market) -> None:
    two_sellers(market)
    market.buy("bid", 5, 98)
    assert market.amend("second", price=99) == [
        market.replaced("second", Side.SELL, 10, 99, was=(10, 100), rested=10)
    ]
    assert market.asks == [("second", 10, 99), ("first", 10, 100)]
    assert market.bids == [("bid", 5, 98)]


def test_the_only_order_of_a_level_can_lose_its_place_to_itself(market: Market) -> None:
    market.buy("alone", 5, 100)
    assert market.amend("alone", quantity=6) == [
        market.replaced("alone", Side.BUY, 6, 100, was=(5, 100), rested=6)
    ]
    assert market.bids == [("alone", 6, 100)]


# Trading.


def test_a_price_that_crosses_trades_at_once_at_the_makers_prices(market: Market) -> None:
    market.buy("mover", 10, 95, user="ann")
    market.sell("a", 2, 100)
    market.sell("b", 3, 101)
    market.sell("beyond", 3, 102)
    assert market.amend("mover", price=101) == [
        market.replaced(
            "mover",
            Side.BUY,
            10,
            101,
            was=(10, 95),
            fills=[fill(1, "a", 100, 2, left=0), fill(2, "b", 101, 3, left=0)],
            rested=5,
        )
    ]
    assert market.bids == [("mover", 5, 101)]
    assert market.asks == [("beyond", 3, 102)]
    assert market.book.last_trade_id == 2


def test_a_price_that_crosses_can_fill_the_order_to_its_end(market: Market) -> None:
    market.sell("mover", 10, 105)
    market.buy("bid", 12, 100)
    assert market.amend("mover", price=100) == [
        market.replaced(
            "mover", Side.SELL, 10, 100, was=(10, 105), fills=[fill(1, "bid", 100, 10, left=2)]
        )
    ]
    assert (market.bids, market.asks) == ([("bid", 2, 100)], [])
    assert market.cancel("mover") == [market.request_refused("mover", NOT_OPEN)]


def test_only_what_remains_of_the_new_total_trades(market: Market) -> None:
    market.buy("mover", 10, 95)
    market.sell("seller", 4, 95)  # 4 of 10 are filled
    market.sell("ask", 20, 100)
    assert market.amend("mover", price=100, quantity=7) == [
        market.replaced(
            "mover", Side.BUY, 7, 100, was=(6, 95), fills=[fill(2, "ask", 100, 3, left=17)]
        )
    ]
    assert (market.bids, market.asks) == ([], [("ask", 17, 100)])


def test_an_order_that_crosses_does_not_meet_itself(market: Market) -> None:
    market.buy("mover", 5, 100)
    assert market.amend("mover", price=200, quantity=9) == [
        market.replaced("mover", Side.BUY, 9, 200, was=(5, 100), rested=9)
    ]
    assert market.bids == [("mover", 9, 200)]


def test_the_user_of_an_amended_order_stays_with_it(market: Market) -> None:
    market.buy("mover", 5, 100, user="ann")
    for price in (101, 102):
        was = (5, price - 1)
        assert market.amend("mover", price=price) == [
            market.replaced("mover", Side.BUY, 5, price, was=was, rested=5)
        ]


# Refused.


@pytest.mark.parametrize("total", [1, 3])
@pytest.mark.parametrize("price", [None, 100, 101, 1])
def test_a_total_at_or_below_what_is_filled_is_refused(
    market: Market, total: int, price: int | None
) -> None:
    two_sellers(market)
    market.buy("bid", 1, 99)
    market.buy("buyer", 3, 100)
    assert market.amend("first", price=price, quantity=total) == [
        market.request_refused("first", NOT_ABOVE_FILLED)
    ]
    assert market.asks == [("first", 7, 100), ("second", 10, 100)]
    assert market.bids == [("bid", 1, 99)]


def test_an_order_that_never_was_is_refused(market: Market) -> None:
    two_sellers(market)
    assert market.amend("unknown", quantity=1) == [market.request_refused("unknown", NOT_OPEN)]


def test_an_order_that_no_longer_rests_is_refused(market: Market) -> None:
    market.sell("filled", 5, 100)
    market.buy("taker", 5, 100)
    market.sell("cancelled", 5, 100)
    market.cancel("cancelled")
    market.sell("expired", 5, 100, time_in_force=TimeInForce.IOC)
    for name in ("filled", "taker", "cancelled", "expired"):
        assert market.amend(name, quantity=50) == [market.request_refused(name, NOT_OPEN)]
    assert (market.bids, market.asks) == ([], [])
