"""A large order takes level after level, and what is left of it becomes the best price."""

from domain.values import Side
from tests.domain.support import Market, fill


def test_a_sweep_takes_levels_from_the_best_and_each_in_order_of_time(market: Market) -> None:
    market.sell("b1", 2, 101)
    market.sell("a1", 1, 100)
    market.sell("c1", 4, 102)
    market.sell("a2", 1, 100)
    market.sell("b2", 3, 101)
    assert market.buy("sweep", 9, 102) == [
        market.matched(
            "sweep",
            Side.BUY,
            9,
            102,
            fills=[
                fill(1, "a1", 100, 1, left=0),
                fill(2, "a2", 100, 1, left=0),
                fill(3, "b1", 101, 2, left=0),
                fill(4, "b2", 101, 3, left=0),
                fill(5, "c1", 102, 2, left=2),
            ],
        )
    ]
    assert (market.bids, market.asks) == ([], [("c1", 2, 102)])


def test_a_selling_sweep_goes_downwards(market: Market) -> None:
    market.buy("low", 2, 98)
    market.buy("high", 1, 100)
    market.buy("middle", 2, 99)
    assert market.sell("sweep", 4, 98) == [
        market.matched(
            "sweep",
            Side.SELL,
            4,
            98,
            fills=[
                fill(1, "high", 100, 1, left=0),
                fill(2, "middle", 99, 2, left=0),
                fill(3, "low", 98, 1, left=1),
            ],
        )
    ]


def test_a_sweep_stops_at_its_limit_and_its_rest_becomes_the_best_bid(market: Market) -> None:
    market.buy("bid", 5, 99)
    market.sell("a", 2, 100)
    market.sell("b", 2, 101)
    market.sell("beyond", 2, 102)
    assert market.buy("sweep", 10, 101) == [
        market.matched(
            "sweep",
            Side.BUY,
            10,
            101,
            fills=[fill(1, "a", 100, 2, left=0), fill(2, "b", 101, 2, left=0)],
            rested=6,
        )
    ]
    assert market.bids == [("sweep", 6, 101), ("bid", 5, 99)]
    assert market.asks == [("beyond", 2, 102)]


def test_the_rest_of_a_selling_sweep_becomes_the_best_ask(market: Market) -> None:
    market.sell("ask", 5, 101)
    market.buy("bid", 2, 100)
    assert market.sell("sweep", 3, 100) == [
        market.matched("sweep", Side.SELL, 3, 100, fills=[fill(1, "bid", 100, 2, left=0)], rested=1)
    ]
    assert market.asks == [("sweep", 1, 100), ("ask", 5, 101)]
    assert market.bids == []


def test_the_rest_of_a_sweep_trades_as_maker_at_its_own_price(market: Market) -> None:
    market.sell("ask", 1, 100)
    market.buy("sweep", 3, 105)
    assert market.sell("next", 2, 90) == [
        market.matched("next", Side.SELL, 2, 90, fills=[fill(2, "sweep", 105, 2, left=0)])
    ]


def test_a_sweep_that_empties_the_book_leaves_only_its_rest(market: Market) -> None:
    for price in (100, 101, 102):
        market.sell(f"at {price}", 1, price)
    assert market.buy("sweep", 4, 1_000) == [
        market.matched(
            "sweep",
            Side.BUY,
            4,
            1_000,
            fills=[
                fill(1, "at 100", 100, 1, left=0),
                fill(2, "at 101", 101, 1, left=0),
                fill(3, "at 102", 102, 1, left=0),
            ],
            rested=1,
        )
    ]
    assert (market.bids, market.asks) == ([("sweep", 1, 1_000)], [])
