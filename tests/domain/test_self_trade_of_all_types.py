"""Self-trade prevention of FOK orders, stops, icebergs, and orders that move."""

from typing import Any

import pytest

from domain.values import SelfTradePrevention
from tests.domain.support import (
    Event,
    Market,
    fill,
)
from tests.domain.test_self_trade_prevention import BOTH, DECREMENT, MAKER, NONE, TAKER
from tests.domain.words import (
    BUY,
    FOK,
    PREVENTED,
    SELL,
    STOP,
    TOO_LITTLE,
    execution,
    gone,
    lowered,
    mode,
)


def his(trade_id: int, name: str, quantity: int, *, left: int) -> Any:
    return fill(trade_id, name, 100, quantity, left=left, user="bob")


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
    terms.setdefault("price", 100)
    return market.buy("b", quantity, user="ann", self_trade_prevention=prevention, **terms)


# FOK.


@pytest.mark.parametrize("prevention", [TAKER, BOTH, DECREMENT])
def test_a_fok_that_an_own_order_would_keep_from_being_filled_is_nothing(
    queue: Market, prevention: SelfTradePrevention
) -> None:
    assert buy(queue, 3, prevention, time_in_force=FOK) == [
        queue.matched("b", BUY, 3, 100, reason=TOO_LITTLE)
    ]
    assert queue.asks == [("before", 2, 100), ("mine", 4, 100), ("after", 5, 100)]


@pytest.mark.parametrize("quantity", [3, 5, 6, 7, 11])
def test_a_fok_is_never_decremented(queue: Market, quantity: int) -> None:
    assert buy(queue, quantity, DECREMENT, time_in_force=FOK) == [
        queue.matched("b", BUY, quantity, 100, reason=TOO_LITTLE)
    ]
    assert queue.asks == [("before", 2, 100), ("mine", 4, 100), ("after", 5, 100)]


def test_a_fok_that_cancels_makers_is_filled_where_the_others_are_enough(queue: Market) -> None:
    assert buy(queue, 7, MAKER, time_in_force=FOK) == [
        queue.matched(
            "b",
            BUY,
            7,
            100,
            fills=[his(1, "before", 2, left=0), his(2, "after", 5, left=0)],
            prevented=[gone("mine", 100, 4, left=4)],
        )
    ]


def test_a_fok_that_cancels_makers_cancels_none_where_the_others_are_too_few(
    queue: Market,
) -> None:
    assert buy(queue, 8, MAKER, time_in_force=FOK) == [
        queue.matched("b", BUY, 8, 100, reason=TOO_LITTLE)
    ]
    assert queue.asks == [("before", 2, 100), ("mine", 4, 100), ("after", 5, 100)]


def test_a_fok_without_prevention_counts_all(queue: Market) -> None:
    assert buy(queue, 11, NONE, time_in_force=FOK) == [
        queue.matched(
            "b",
            BUY,
            11,
            100,
            fills=[
                his(1, "before", 2, left=0),
                fill(2, "mine", 100, 4, left=0, user="ann"),
                his(3, "after", 5, left=0),
            ],
        )
    ]


@pytest.mark.parametrize("prevention", SelfTradePrevention)
def test_a_fok_that_is_filled_before_it_meets_its_own_is_filled(
    queue: Market, prevention: SelfTradePrevention
) -> None:
    assert buy(queue, 2, prevention, time_in_force=FOK) == [
        queue.matched("b", BUY, 2, 100, fills=[his(1, "before", 2, left=0)])
    ]


# Stops, and orders that move.


def test_a_stop_is_prevented_when_it_is_triggered(market: Market) -> None:
    terms = {"order_type": STOP, "stop_price": 90, "self_trade_prevention": DECREMENT}
    market.buy("b", 3, None, user="ann", **terms)
    market.sell("his", 1, 90, user="bob")
    market.sell("mine", 4, 95, user="ann")
    assert market.buy("taker", 1, 90, user="bob") == [
        market.matched(
            "taker",
            BUY,
            1,
            90,
            fills=[fill(1, "his", 90, 1, left=0, user="bob")],
            triggered=[
                execution(
                    "b",
                    BUY,
                    3,
                    None,
                    user_id="ann",
                    prevented=(lowered("mine", 95, 1, left=1, was=4),),
                    reason=PREVENTED,
                )
            ],
        )
    ]


def test_what_was_prevented_is_no_trade_and_triggers_nothing(queue: Market) -> None:
    queue.buy("stop", 1, None, order_type=STOP, stop_price=99, user="bob")
    queue.cancel("before")
    assert buy(queue, 4, BOTH) == [
        queue.matched("b", BUY, 4, 100, prevented=[gone("mine", 100, 4, left=4)], reason=PREVENTED)
    ]
    assert (queue.book.last_trade_id, queue.book.floor.last_price) == (0, None)
    assert len(queue.book.floor.stops.orders) == 1


def test_an_order_that_moves_into_its_own_is_prevented(queue: Market) -> None:
    queue.buy("b", 6, 90, user="ann", self_trade_prevention=DECREMENT)
    queue.sell("his", 1, 90, user="bob")
    assert queue.amend("b", price=100, quantity=9) == [
        queue.replaced(
            "b",
            BUY,
            5,
            100,
            was=(5, 90),
            fills=[his(2, "before", 2, left=0), his(3, "after", 2, left=3)],
            prevented=[gone("mine", 100, 4, left=4)],
            lowered=4,
            conditions=mode(DECREMENT),
        )
    ]


# Icebergs.


@pytest.mark.parametrize(
    ("bought", "remains", "shows"), [(1, 9, 4), (3, 7, 4), (6, 4, 4), (7, 3, 3), (9, 1, 1)]
)
def test_what_remains_of_an_iceberg_is_all_of_it(
    market: Market, bought: int, remains: int, shows: int
) -> None:
    market.sell("mine", 10, 100, user="ann", display_quantity=4)
    market.sell("next", 1, 100, user="bob")
    left = lowered("mine", 100, remains, left=remains, was=4, shown=shows)
    assert buy(market, bought, DECREMENT) == [
        market.matched("b", BUY, bought, 100, prevented=[left], reason=PREVENTED)
    ]
    assert market.asks == [("mine", remains, 100), ("next", 1, 100)]


def test_an_iceberg_that_is_cancelled_is_seen_to_lose_its_slice(market: Market) -> None:
    market.sell("mine", 10, 100, user="ann", display_quantity=4)
    assert buy(market, 1, BOTH) == [
        market.matched(
            "b",
            BUY,
            1,
            100,
            prevented=[gone("mine", 100, 10, left=10, shown=4)],
            reason=PREVENTED,
        )
    ]


def test_a_slice_that_was_begun_is_not_filled_up(market: Market) -> None:
    market.sell("mine", 10, 100, user="ann", display_quantity=4)
    market.buy("his", 3, 100, user="bob")
    left = lowered("mine", 100, 8, left=5, was=1, shown=1)
    assert buy(market, 2, DECREMENT) == [
        market.matched("b", BUY, 2, 100, prevented=[left], reason=PREVENTED)
    ]


def test_an_iceberg_that_was_lowered_is_one_still(market: Market) -> None:
    market.sell("ice", 10, 100, user="ann", display_quantity=3)
    buy(market, 2, DECREMENT)
    assert market.sell("s", 3, 100) == [market.matched("s", SELL, 3, 100, rested=3)]
    of_ann = fill(1, "ice", 100, 3, left=5, user="ann", refill=3)
    assert market.buy("c", 3, 100) == [market.matched("c", BUY, 3, 100, fills=[of_ann])]
