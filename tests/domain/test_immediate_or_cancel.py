"""An IOC order takes what is there at once; what is left of it expires and never rests."""

from domain.errors import CancelReason, RejectReason
from domain.values import Side, TimeInForce
from tests.domain.support import Market, fill

IOC = TimeInForce.IOC
TOO_LITTLE = CancelReason.INSUFFICIENT_LIQUIDITY


def test_an_ioc_that_finds_enough_is_like_any_other_order(market: Market) -> None:
    market.sell("seller", 5, 100)
    assert market.buy("buyer", 5, 100, time_in_force=IOC) == [
        market.matched("buyer", Side.BUY, 5, 100, fills=[fill(1, "seller", 100, 5, left=0)])
    ]


def test_an_ioc_that_finds_too_little_trades_that_and_the_rest_expires(market: Market) -> None:
    market.sell("seller", 3, 100)
    assert market.buy("buyer", 5, 100, time_in_force=IOC) == [
        market.matched(
            "buyer",
            Side.BUY,
            5,
            100,
            fills=[fill(1, "seller", 100, 3, left=0)],
            reason=TOO_LITTLE,
        )
    ]
    assert (market.bids, market.asks) == ([], [])


def test_an_ioc_that_finds_nothing_expires_whole(market: Market) -> None:
    assert market.sell("seller", 5, 100, time_in_force=IOC) == [
        market.matched("seller", Side.SELL, 5, 100, reason=TOO_LITTLE)
    ]
    assert (market.bids, market.asks) == ([], [])


def test_an_ioc_does_not_trade_beyond_its_limit(market: Market) -> None:
    market.buy("good", 2, 100)
    market.buy("too low", 2, 99)
    assert market.sell("seller", 4, 100, time_in_force=IOC) == [
        market.matched(
            "seller",
            Side.SELL,
            4,
            100,
            fills=[fill(1, "good", 100, 2, left=0)],
            reason=TOO_LITTLE,
        )
    ]
    assert market.bids == [("too low", 2, 99)]


def test_an_ioc_leaves_a_larger_maker_in_its_place(market: Market) -> None:
    market.sell("first", 5, 100)
    market.sell("second", 5, 100)
    assert market.buy("buyer", 2, 100, time_in_force=IOC) == [
        market.matched("buyer", Side.BUY, 2, 100, fills=[fill(1, "first", 100, 2, left=3)])
    ]
    assert market.asks == [("first", 3, 100), ("second", 5, 100)]


def test_what_expired_can_neither_be_cancelled_nor_amended(market: Market) -> None:
    market.buy("buyer", 5, 100, time_in_force=IOC)
    not_open = RejectReason.ORDER_NOT_OPEN
    assert market.cancel("buyer") == [market.request_refused("buyer", not_open)]
    assert market.amend("buyer", price=101) == [market.request_refused("buyer", not_open)]
