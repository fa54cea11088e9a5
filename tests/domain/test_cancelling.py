"""A cancelled order leaves the book from wherever it stands, and nobody else moves."""

import pytest

from domain.errors import RejectReason
from domain.values import Side
from tests.domain.support import Market, fill

NOT_OPEN = RejectReason.ORDER_NOT_OPEN


@pytest.mark.parametrize(
    ("cancelled", "left"),
    [
        pytest.param("first", ["second", "third"], id="front"),
        pytest.param("second", ["first", "third"], id="middle"),
        pytest.param("third", ["first", "second"], id="back"),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_an_order_leaves_its_queue_from_anywhere(
    market: Market, side: Side, cancelled: str, left: list[str]
) -> None:
    for name in ("first", "second", "third"):
        market.place(name, side, 5, 100)
    assert market.cancel(cancelled) == [market.cancelled(cancelled, side, 5, 100)]
    resting = market.bids if side is Side.BUY else market.asks
    assert resting == [(name, 5, 100) for name in left]
    assert market.place("taker", side.opposite, 10, 100) == [
        market.matched(
            "taker",
            side.opposite,
            10,
            100,
            fills=[fill(number, name, 100, 5, left=0) for number, name in enumerate(left, start=1)],
        )
    ]


def test_the_last_order_of_a_level_takes_the_level_with_it(market: Market) -> None:
    market.sell("best", 5, 100)
    market.sell("next", 5, 101)
    assert market.cancel("best") == [market.cancelled("best", Side.SELL, 5, 100)]
    assert market.asks == [("next", 5, 101)]
    assert market.buy("buyer", 5, 100) == [market.matched("buyer", Side.BUY, 5, 100, rested=5)]


def test_a_level_between_others_can_go(market: Market) -> None:
    for price in (98, 99, 100):
        market.buy(f"at {price}", 5, price)
    assert market.cancel("at 99") == [market.cancelled("at 99", Side.BUY, 5, 99)]
    assert market.bids == [("at 100", 5, 100), ("at 98", 5, 98)]


def test_what_remained_of_a_partly_filled_order_is_cancelled(market: Market) -> None:
    market.sell("seller", 10, 100)
    market.buy("buyer", 4, 100)
    assert market.cancel("seller") == [market.cancelled("seller", Side.SELL, 6, 100)]
    assert market.asks == []


def test_an_order_that_never_was_is_refused(market: Market) -> None:
    market.sell("other", 5, 100)
    assert market.cancel("unknown") == [market.request_refused("unknown", NOT_OPEN)]
    assert market.asks == [("other", 5, 100)]


def test_a_second_cancel_is_refused(market: Market) -> None:
    market.sell("seller", 5, 100)
    assert market.cancel("seller") == [market.cancelled("seller", Side.SELL, 5, 100)]
    assert market.cancel("seller") == [market.request_refused("seller", NOT_OPEN)]


def test_a_filled_order_is_refused_whichever_part_it_had(market: Market) -> None:
    market.sell("maker", 5, 100)
    market.buy("taker", 5, 100)
    assert market.cancel("maker") == [market.request_refused("maker", NOT_OPEN)]
    assert market.cancel("taker") == [market.request_refused("taker", NOT_OPEN)]


def test_a_refused_cancel_changes_nothing_but_the_count_of_commands(market: Market) -> None:
    market.sell("seller", 5, 100)
    market.cancel("unknown")
    assert market.book.version == 2
    assert market.book.last_trade_id == 0
    assert market.buy("buyer", 5, 100) == [
        market.matched("buyer", Side.BUY, 5, 100, fills=[fill(1, "seller", 100, 5, left=0)])
    ]
