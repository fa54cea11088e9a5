"""What is left of an order that traded in part stands where it stood."""

from domain.errors import RejectReason
from domain.values import Side
from tests.domain.support import Market, fill


def test_a_partial_fill_keeps_its_place_before_those_that_came_later(market: Market) -> None:
    market.sell("first", 10, 100)
    market.sell("second", 10, 100)
    assert market.buy("a", 4, 100) == [
        market.matched("a", Side.BUY, 4, 100, fills=[fill(1, "first", 100, 4, left=6)])
    ]
    assert market.asks == [("first", 6, 100), ("second", 10, 100)]
    assert market.buy("b", 7, 100) == [
        market.matched(
            "b",
            Side.BUY,
            7,
            100,
            fills=[fill(2, "first", 100, 6, left=0), fill(3, "second", 100, 1, left=9)],
        )
    ]
    assert market.asks == [("second", 9, 100)]


def test_one_order_can_be_filled_by_many_until_nothing_is_left(market: Market) -> None:
    market.buy("resting", 3, 100)
    for number, left in [(1, 2), (2, 1), (3, 0)]:
        assert market.sell(f"s{number}", 1, 100) == [
            market.matched(
                f"s{number}", Side.SELL, 1, 100, fills=[fill(number, "resting", 100, 1, left=left)]
            )
        ]
    assert market.bids == []
    assert market.sell("too late", 1, 100) == [
        market.matched("too late", Side.SELL, 1, 100, rested=1)
    ]


def test_the_total_of_a_partly_filled_order_stays_what_was_asked(market: Market) -> None:
    market.sell("resting", 10, 100)
    market.buy("buyer", 4, 100)
    (resting,) = market.book.book.orders.values()
    assert (resting.quantity, resting.filled, resting.remaining) == (10, 4, 6)


def test_what_an_order_traded_on_arrival_counts_as_filled_when_its_rest_is_amended(
    market: Market,
) -> None:
    market.sell("seller", 2, 100)
    market.buy("buyer", 5, 100)  # 2 filled, 3 rest
    filled = RejectReason.QUANTITY_NOT_ABOVE_FILLED
    assert market.amend("buyer", quantity=2) == [market.request_refused("buyer", filled)]
    assert market.amend("buyer", quantity=4) == [
        market.reduced("buyer", Side.BUY, 4, 100, remaining=2, was=3)
    ]


def test_what_an_order_traded_when_amended_counts_as_filled_from_then_on(market: Market) -> None:
    market.sell("seller", 2, 100)
    market.buy("buyer", 5, 90)
    market.amend("buyer", price=100)  # 2 filled, 3 rest
    filled = RejectReason.QUANTITY_NOT_ABOVE_FILLED
    assert market.amend("buyer", quantity=2) == [market.request_refused("buyer", filled)]
    assert market.amend("buyer", quantity=4) == [
        market.reduced("buyer", Side.BUY, 4, 100, remaining=2, was=3)
    ]
