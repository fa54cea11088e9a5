"""Where a user would trade with themself, the taker's mode rules."""

from typing import Any

import pytest

from domain.values import SelfTradePrevention
from tests.domain.support import Event, Market, fill
from tests.domain.words import (
    BUY,
    PREVENTED,
    SELL,
    gone,
    lowered,
    mode,
)

NONE = SelfTradePrevention.NONE
TAKER = SelfTradePrevention.CANCEL_TAKER
MAKER = SelfTradePrevention.CANCEL_MAKER
BOTH = SelfTradePrevention.CANCEL_BOTH
DECREMENT = SelfTradePrevention.DECREMENT


@pytest.fixture
def queue(market: Market) -> Market:
    """At 100: bob sells 2, then ann 4, then bob 5."""
    market.sell("before", 2, 100, user="bob")
    market.sell("mine", 4, 100, user="ann")
    market.sell("after", 5, 100, user="bob")
    return market


def buy(
    market: Market, quantity: int, prevention: SelfTradePrevention, **terms: Any
) -> list[Event]:
    """Ann buys at 100."""
    return market.buy("b", quantity, 100, user="ann", self_trade_prevention=prevention, **terms)


BEFORE = fill(1, "before", 100, 2, left=0, user="bob")


def test_none_lets_a_user_trade_with_themself(queue: Market) -> None:
    assert buy(queue, 8, NONE) == [
        queue.matched(
            "b",
            BUY,
            8,
            100,
            fills=[
                BEFORE,
                fill(2, "mine", 100, 4, left=0, user="ann"),
                fill(3, "after", 100, 2, left=3, user="bob"),
            ],
        )
    ]


def test_cancel_taker_ends_it_there_and_the_maker_stays(queue: Market) -> None:
    assert buy(queue, 8, TAKER) == [
        queue.matched("b", BUY, 8, 100, fills=[BEFORE], reason=PREVENTED)
    ]
    assert (queue.bids, queue.asks) == ([], [("mine", 4, 100), ("after", 5, 100)])


def test_cancel_maker_takes_it_away_and_goes_on(queue: Market) -> None:
    assert buy(queue, 8, MAKER) == [
        queue.matched(
            "b",
            BUY,
            8,
            100,
            fills=[BEFORE, fill(2, "after", 100, 5, left=0, user="bob")],
            prevented=[gone("mine", 100, 4, left=4)],
            rested=1,
            conditions=mode(MAKER),
        )
    ]
    assert (queue.bids, queue.asks) == ([("b", 1, 100)], [])


def test_cancel_maker_takes_all_away_that_stand_in_the_way(queue: Market) -> None:
    queue.sell("mine too", 1, 99, user="ann")
    queue.sell("mine beyond", 1, 101, user="ann")
    assert buy(queue, 7, MAKER) == [
        queue.matched(
            "b",
            BUY,
            7,
            100,
            fills=[BEFORE, fill(2, "after", 100, 5, left=0, user="bob")],
            prevented=[gone("mine too", 99, 1, left=1), gone("mine", 100, 4, left=4)],
        )
    ]
    assert queue.asks == [("mine beyond", 1, 101)]


def test_cancel_both_ends_both(queue: Market) -> None:
    assert buy(queue, 8, BOTH) == [
        queue.matched(
            "b",
            BUY,
            8,
            100,
            fills=[BEFORE],
            prevented=[gone("mine", 100, 4, left=4)],
            reason=PREVENTED,
        )
    ]
    assert (queue.bids, queue.asks) == ([], [("after", 5, 100)])


def test_decrement_of_a_larger_taker_ends_the_maker_and_it_goes_on(queue: Market) -> None:
    assert buy(queue, 8, DECREMENT) == [
        queue.matched(
            "b",
            BUY,
            4,
            100,
            fills=[BEFORE, fill(2, "after", 100, 2, left=3, user="bob")],
            prevented=[gone("mine", 100, 4, left=4)],
            lowered=4,
        )
    ]
    assert (queue.bids, queue.asks) == ([], [("after", 3, 100)])


def test_decrement_of_a_smaller_taker_ends_it_and_the_maker_keeps_its_place(queue: Market) -> None:
    assert buy(queue, 5, DECREMENT) == [
        queue.matched(
            "b",
            BUY,
            5,
            100,
            fills=[BEFORE],
            prevented=[lowered("mine", 100, 1, left=1, was=4)],
            reason=PREVENTED,
        )
    ]
    assert (queue.bids, queue.asks) == ([], [("mine", 1, 100), ("after", 5, 100)])


def test_decrement_of_equals_ends_both(queue: Market) -> None:
    assert buy(queue, 6, DECREMENT) == [
        queue.matched(
            "b",
            BUY,
            6,
            100,
            fills=[BEFORE],
            prevented=[gone("mine", 100, 4, left=4)],
            reason=PREVENTED,
        )
    ]
    assert (queue.bids, queue.asks) == ([], [("after", 5, 100)])


def test_decrement_counts_what_remains_and_not_what_was_filled(market: Market) -> None:
    market.sell("mine", 10, 100, user="ann")
    market.buy("bob's", 4, 100, user="bob")
    assert buy(market, 2, DECREMENT) == [
        market.matched(
            "b",
            BUY,
            2,
            100,
            prevented=[lowered("mine", 100, 8, left=4, was=6)],
            reason=PREVENTED,
        )
    ]
    assert market.cancel("mine") == [market.cancelled("mine", SELL, 4, 100)]


def test_decrement_goes_from_one_order_to_the_next(market: Market) -> None:
    for number in range(3):
        market.sell(f"mine {number}", 2, 100, user="ann")
    assert buy(market, 5, DECREMENT) == [
        market.matched(
            "b",
            BUY,
            1,
            100,
            prevented=[
                gone("mine 0", 100, 2, left=2),
                gone("mine 1", 100, 2, left=2),
                lowered("mine 2", 100, 1, left=1, was=2),
            ],
            lowered=4,
            reason=PREVENTED,
        )
    ]
    assert market.asks == [("mine 2", 1, 100)]


def test_decrement_may_leave_a_rest_that_rests(market: Market) -> None:
    market.sell("mine", 2, 100, user="ann")
    assert buy(market, 5, DECREMENT) == [
        market.matched(
            "b",
            BUY,
            3,
            100,
            prevented=[gone("mine", 100, 2, left=2)],
            lowered=2,
            rested=3,
            conditions=mode(DECREMENT),
        )
    ]
    assert market.bids == [("b", 3, 100)]


@pytest.mark.parametrize("prevention", SelfTradePrevention)
def test_orders_of_other_users_trade_whatever_the_mode(
    market: Market, prevention: SelfTradePrevention
) -> None:
    market.sell("s", 4, 100, user="bob", self_trade_prevention=prevention)
    assert buy(market, 4, prevention) == [
        market.matched("b", BUY, 4, 100, fills=[fill(1, "s", 100, 4, left=0, user="bob")])
    ]


@pytest.mark.parametrize("of_maker", SelfTradePrevention)
def test_the_mode_of_the_maker_means_nothing(market: Market, of_maker: SelfTradePrevention) -> None:
    market.sell("mine", 4, 100, user="ann", self_trade_prevention=of_maker)
    assert buy(market, 4, TAKER) == [market.matched("b", BUY, 4, 100, reason=PREVENTED)]
    assert buy(market, 4, NONE) == [
        market.matched("b", BUY, 4, 100, fills=[fill(1, "mine", 100, 4, left=0, user="ann")])
    ]


@pytest.mark.parametrize("prevention", SelfTradePrevention)
def test_an_order_that_it_does_not_reach_is_left_alone(
    queue: Market, prevention: SelfTradePrevention
) -> None:
    assert buy(queue, 2, prevention) == [queue.matched("b", BUY, 2, 100, fills=[BEFORE])]
    assert queue.asks == [("mine", 4, 100), ("after", 5, 100)]
