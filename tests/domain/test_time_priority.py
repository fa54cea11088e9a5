"""At the same price, who came to the book first trades first."""

from domain.values import Side
from tests.domain.support import Market, fill, seconds


def test_the_earliest_of_equal_sellers_trades_first(market: Market) -> None:
    market.sell("first", 5, 100)
    market.sell("second", 5, 100)
    market.sell("third", 5, 100)
    assert market.buy("buyer", 12, 100) == [
        market.matched(
            "buyer",
            Side.BUY,
            12,
            100,
            fills=[
                fill(1, "first", 100, 5, left=0),
                fill(2, "second", 100, 5, left=0),
                fill(3, "third", 100, 2, left=3),
            ],
        )
    ]


def test_the_earliest_of_equal_buyers_trades_first(market: Market) -> None:
    market.buy("first", 5, 100)
    market.buy("second", 5, 100)
    assert market.sell("seller", 6, 100) == [
        market.matched(
            "seller",
            Side.SELL,
            6,
            100,
            fills=[fill(1, "first", 100, 5, left=0), fill(2, "second", 100, 1, left=4)],
        )
    ]


def test_a_larger_order_does_not_go_before_an_earlier_one(market: Market) -> None:
    market.sell("small", 1, 100)
    market.sell("large", 1_000, 100)
    assert market.buy("buyer", 1, 100) == [
        market.matched("buyer", Side.BUY, 1, 100, fills=[fill(1, "small", 100, 1, left=0)])
    ]


def test_the_order_of_arrival_counts_and_not_what_clocks_say(market: Market) -> None:
    market.sell("came first", 5, 100, at=seconds(9))
    market.sell("claims to be first", 5, 100, at=seconds(1))
    assert market.buy("buyer", 5, 100, at=seconds(10)) == [
        market.matched("buyer", Side.BUY, 5, 100, fills=[fill(1, "came first", 100, 5, left=0)])
    ]


def test_a_level_that_was_emptied_starts_a_new_queue(market: Market) -> None:
    market.sell("old", 5, 100)
    market.buy("buyer", 5, 100)
    market.sell("new", 5, 100)
    market.sell("newer", 5, 100)
    assert market.asks == [("new", 5, 100), ("newer", 5, 100)]
