"""The best price trades first, whenever it came, and always at the price of who waited."""

from domain.values import Side
from tests.domain.support import Market, fill


def test_a_buyer_meets_the_cheapest_seller_first(market: Market) -> None:
    market.sell("dear", 5, 102)
    market.sell("cheap", 5, 100)
    market.sell("middle", 5, 101)
    assert market.buy("buyer", 5, 102) == [
        market.matched("buyer", Side.BUY, 5, 102, fills=[fill(1, "cheap", 100, 5, left=0)])
    ]
    assert market.asks == [("middle", 5, 101), ("dear", 5, 102)]


def test_a_seller_meets_the_highest_bidder_first(market: Market) -> None:
    market.buy("low", 5, 98)
    market.buy("high", 5, 100)
    market.buy("middle", 5, 99)
    assert market.sell("seller", 5, 98) == [
        market.matched("seller", Side.SELL, 5, 98, fills=[fill(1, "high", 100, 5, left=0)])
    ]
    assert market.bids == [("middle", 5, 99), ("low", 5, 98)]


def test_a_buyer_pays_what_the_seller_asked_and_not_what_he_offered(market: Market) -> None:
    market.sell("seller", 5, 100)
    assert market.buy("generous", 5, 1_000) == [
        market.matched("generous", Side.BUY, 5, 1_000, fills=[fill(1, "seller", 100, 5, left=0)])
    ]


def test_a_seller_gets_what_the_buyer_bid_and_not_what_he_asked(market: Market) -> None:
    market.buy("buyer", 5, 1_000)
    assert market.sell("modest", 5, 1) == [
        market.matched("modest", Side.SELL, 5, 1, fills=[fill(1, "buyer", 1_000, 5, left=0)])
    ]


def test_prices_that_are_equal_trade(market: Market) -> None:
    market.sell("seller", 5, 100)
    assert market.buy("buyer", 5, 100) == [
        market.matched("buyer", Side.BUY, 5, 100, fills=[fill(1, "seller", 100, 5, left=0)])
    ]
    assert (market.bids, market.asks) == ([], [])


def test_prices_that_miss_by_one_unit_do_not_trade(market: Market) -> None:
    market.sell("seller", 5, 100)
    assert market.buy("buyer", 5, 99) == [market.matched("buyer", Side.BUY, 5, 99, rested=5)]
    assert market.bids == [("buyer", 5, 99)]
    assert market.asks == [("seller", 5, 100)]


def test_orders_on_the_same_side_never_trade_with_each_other(market: Market) -> None:
    market.buy("first", 5, 100)
    assert market.buy("second", 5, 101) == [market.matched("second", Side.BUY, 5, 101, rested=5)]
    market.sell("third", 5, 200)
    assert market.sell("fourth", 5, 199) == [market.matched("fourth", Side.SELL, 5, 199, rested=5)]
    assert market.bids == [("second", 5, 101), ("first", 5, 100)]
    assert market.asks == [("fourth", 5, 199), ("third", 5, 200)]


def test_a_better_price_that_comes_later_goes_before_a_worse_one_that_waited(
    market: Market,
) -> None:
    market.buy("patient", 5, 99)
    market.buy("eager", 5, 100)
    assert market.sell("seller", 7, 99) == [
        market.matched(
            "seller",
            Side.SELL,
            7,
            99,
            fills=[fill(1, "eager", 100, 5, left=0), fill(2, "patient", 99, 2, left=3)],
        )
    ]


def test_the_markets_of_two_assets_do_not_meet() -> None:
    bitcoin, ether = Market("BTC-USD"), Market("ETH-USD")
    bitcoin.sell("seller", 5, 100)
    assert ether.buy("buyer", 5, 100) == [ether.matched("buyer", Side.BUY, 5, 100, rested=5)]
    assert bitcoin.book.id != ether.book.id
