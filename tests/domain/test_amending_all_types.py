"""Changing icebergs and post-only orders: what keeps the place, what loses it, what is refused."""

import pytest

from domain.errors import RejectReason
from domain.values import Conditions, OrderStatus
from tests.domain.support import Exchange, Market, fill, order_id
from tests.domain.words import BUY, SELL, iceberg


def shown(market: Market, name: str) -> int:
    return market.book.book.orders[order_id(name)].shown


@pytest.fixture
def queue(market: Market) -> Market:
    """An iceberg of 10 that shows 3, and behind it a plain order of 4."""
    market.sell("ice", 10, 100, display_quantity=3)
    market.sell("plain", 4, 100)
    return market


# Icebergs that keep their place.


@pytest.mark.parametrize(("quantity", "shows"), [(10, 3), (9, 3), (4, 3), (3, 3), (2, 2), (1, 1)])
def test_a_smaller_quantity_keeps_the_place_and_what_is_shown_is_cut(
    queue: Market, quantity: int, shows: int
) -> None:
    assert queue.amend("ice", quantity=quantity) == [
        queue.reduced(
            "ice",
            SELL,
            quantity,
            100,
            remaining=quantity,
            was=10,
            shown=shows,
            previous_shown=3,
            conditions=iceberg(3),
        )
    ]
    assert queue.asks == [("ice", quantity, 100), ("plain", 4, 100)]


def test_a_smaller_display_keeps_the_place_and_is_seen_at_once(queue: Market) -> None:
    assert queue.amend("ice", display_quantity=2) == [
        queue.reduced(
            "ice",
            SELL,
            10,
            100,
            remaining=10,
            was=10,
            shown=2,
            previous_shown=3,
            conditions=iceberg(2),
        )
    ]
    assert queue.buy("b", 3, 100) == [
        queue.matched(
            "b",
            BUY,
            3,
            100,
            fills=[fill(1, "ice", 100, 2, left=8, refill=2), fill(2, "plain", 100, 1, left=3)],
        )
    ]


def test_a_smaller_display_than_the_slice_had_left_cuts_nothing(queue: Market) -> None:
    queue.buy("b", 2, 100)
    assert queue.amend("ice", display_quantity=2) == [
        queue.reduced(
            "ice",
            SELL,
            10,
            100,
            remaining=8,
            was=8,
            shown=1,
            previous_shown=1,
            conditions=iceberg(2),
        )
    ]
    assert queue.buy("c", 1, 100) == [
        queue.matched("c", BUY, 1, 100, fills=[fill(2, "ice", 100, 1, left=7, refill=2)])
    ]


def test_the_same_display_keeps_the_place(queue: Market) -> None:
    assert queue.amend("ice", display_quantity=3, price=100, quantity=10) == [
        queue.reduced(
            "ice",
            SELL,
            10,
            100,
            remaining=10,
            was=10,
            shown=3,
            previous_shown=3,
            conditions=iceberg(3),
        )
    ]
    assert queue.asks == [("ice", 10, 100), ("plain", 4, 100)]


# Icebergs that lose it.


def test_a_larger_display_loses_the_place(queue: Market) -> None:
    queue.buy("b", 1, 100)
    assert queue.amend("ice", display_quantity=4) == [
        queue.replaced(
            "ice",
            SELL,
            10,
            100,
            was=(9, 100),
            previous_shown=2,
            rested=9,
            shown=4,
            conditions=iceberg(4),
        )
    ]
    assert queue.asks == [("plain", 4, 100), ("ice", 9, 100)]


def test_a_larger_quantity_loses_the_place_and_shows_a_whole_slice(queue: Market) -> None:
    queue.buy("b", 2, 100)
    assert queue.amend("ice", quantity=11) == [
        queue.replaced(
            "ice",
            SELL,
            11,
            100,
            was=(8, 100),
            previous_shown=1,
            rested=9,
            shown=3,
            conditions=iceberg(3),
        )
    ]
    assert queue.asks == [("plain", 4, 100), ("ice", 9, 100)]


def test_a_larger_display_with_a_smaller_quantity_loses_the_place(queue: Market) -> None:
    assert queue.amend("ice", display_quantity=4, quantity=5) == [
        queue.replaced(
            "ice",
            SELL,
            5,
            100,
            was=(10, 100),
            previous_shown=3,
            rested=5,
            shown=4,
            conditions=iceberg(4),
        )
    ]


def test_a_price_that_crosses_trades_with_all_of_it(queue: Market) -> None:
    queue.buy("bid", 7, 95)
    assert queue.amend("ice", price=95) == [
        queue.replaced(
            "ice",
            SELL,
            10,
            95,
            was=(10, 100),
            previous_shown=3,
            fills=[fill(1, "bid", 95, 7, left=0)],
            rested=3,
            shown=3,
            conditions=iceberg(3),
        )
    ]
    assert (queue.bids, queue.asks) == ([], [("ice", 3, 95), ("plain", 4, 100)])


@pytest.mark.parametrize(("display", "fits"), [(2, True), (1, False)])
def test_a_thousandth_is_the_least_that_may_be_shown(
    market: Market, display: int, *, fits: bool
) -> None:
    market.sell("ice", 2_000, 100, display_quantity=5)
    events = market.amend("ice", display_quantity=display)
    if fits:
        [reduced] = events
        assert (reduced.shown, reduced.conditions) == (2, iceberg(2))
    else:
        assert events == [market.request_refused("ice", RejectReason.TOO_MANY_SLICES, 2)]
        assert shown(market, "ice") == 5


def test_a_quantity_of_more_than_a_thousand_slices_is_refused_and_told_the_least(
    queue: Market,
) -> None:
    assert queue.amend("ice", quantity=3_001) == [
        queue.request_refused("ice", RejectReason.TOO_MANY_SLICES, 4)
    ]
    [replaced] = queue.amend("ice", quantity=3_000)
    assert (replaced.quantity, replaced.shown) == (3_000, 3)


def test_only_an_iceberg_has_a_display_to_change(queue: Market) -> None:
    assert queue.amend("plain", display_quantity=2) == [
        queue.request_refused("plain", RejectReason.NO_DISPLAY_QUANTITY)
    ]
    assert queue.asks == [("ice", 10, 100), ("plain", 4, 100)]


def test_its_order_has_the_new_display(exchange: Exchange) -> None:
    exchange.sell("ice", 10, 100, display_quantity=3)
    exchange.amend("ice", display_quantity=2, quantity=8)
    order = exchange["ice"]
    assert (order.display_quantity, order.quantity, order.price) == (2, 8, 100)
    assert order.status is OrderStatus.OPEN


def test_its_order_has_the_new_display_also_where_it_is_filled_at_once(exchange: Exchange) -> None:
    exchange.sell("ice", 10, 100, display_quantity=3)
    exchange.buy("bid", 10, 95)
    assert exchange.amend("ice", price=95, display_quantity=5) == [
        exchange.replaced(
            "ice",
            SELL,
            10,
            95,
            was=(10, 100),
            previous_shown=3,
            fills=[fill(1, "bid", 95, 10, left=0)],
            conditions=iceberg(5),
        )
    ]
    assert exchange["ice"].display_quantity == 5
    assert exchange["ice"].status is OrderStatus.FILLED


# Post-only orders.

POST = Conditions(post_only=True)


def test_a_post_only_order_does_not_move_to_where_it_would_take(market: Market) -> None:
    market.sell("ask", 1, 100)
    market.buy("p", 5, 90, post_only=True)
    assert market.amend("p", price=100) == [
        market.request_refused("p", RejectReason.POST_ONLY_WOULD_TAKE)
    ]
    assert market.bids == [("p", 5, 90)]
    assert market.amend("p", price=99) == [
        market.replaced("p", BUY, 5, 99, was=(5, 90), rested=5, conditions=POST)
    ]


def test_a_post_only_order_that_is_changed_remains_one(market: Market) -> None:
    market.buy("p", 5, 90, post_only=True)
    assert market.amend("p", quantity=4) == [
        market.reduced("p", BUY, 4, 90, remaining=4, was=5, conditions=POST)
    ]
    market.sell("ask", 1, 100)
    assert market.amend("p", price=101) == [
        market.request_refused("p", RejectReason.POST_ONLY_WOULD_TAKE)
    ]


def test_no_more_can_be_displayed_than_the_order_has(market: Market) -> None:
    market.buy("ice", 10, 100, display_quantity=5)
    asked = market.amend("ice", display_quantity=11)
    assert asked == [market.request_refused("ice", RejectReason.DISPLAY_QUANTITY, 10)]
    asked = market.amend("ice", quantity=3, display_quantity=4)
    assert asked == [market.request_refused("ice", RejectReason.DISPLAY_QUANTITY, 3)]
    [reduced] = market.amend("ice", quantity=3, display_quantity=3)
    assert (reduced.quantity, reduced.shown, reduced.conditions) == (3, 3, iceberg(3))
