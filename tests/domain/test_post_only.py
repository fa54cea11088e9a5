"""A post-only order rests, or is rejected: it never takes."""

from typing import Any

import pytest

from domain.errors import RejectReason
from domain.order import Order
from domain.values import Conditions, OrderStatus, SelfTradePrevention, Side, TimeInForce
from tests.domain.support import Exchange, Market, fill, order_id, seconds, told
from tests.domain.words import BUY, GTD, SELL, STOP_LIMIT, departure

POST = Conditions(post_only=True)
WOULD_TAKE = RejectReason.POST_ONLY_WOULD_TAKE


def test_it_rests_in_an_empty_book(market: Market) -> None:
    assert market.buy("p", 5, 100, post_only=True) == [
        market.matched("p", BUY, 5, 100, rested=5, conditions=POST)
    ]
    assert market.bids == [("p", 5, 100)]


@pytest.mark.parametrize(
    ("side", "price", "rests"),
    [
        (BUY, 99, True),
        (BUY, 100, False),
        (BUY, 101, False),
        (SELL, 101, True),
        (SELL, 100, False),
        (SELL, 99, False),
    ],
)
def test_it_must_miss_the_best_price_by_a_unit(
    market: Market, side: Side, price: int, *, rests: bool
) -> None:
    market.place("other", side.opposite, 3, 100)
    events = market.place("p", side, 5, price, post_only=True)
    if rests:
        assert events == [market.matched("p", side, 5, price, rested=5, conditions=POST)]
    else:
        assert events == [market.refused("p", WOULD_TAKE)]
        assert market.book.book.orders.keys() == {order_id("other")}
    assert market.book.last_trade_id == 0


def test_nothing_of_it_rests_where_only_a_part_would_take(market: Market) -> None:
    market.sell("s", 1, 100)
    assert market.buy("p", 5, 100, post_only=True) == [market.refused("p", WOULD_TAKE)]
    assert (market.bids, market.asks) == ([], [("s", 1, 100)])


@pytest.mark.parametrize("mode", SelfTradePrevention)
def test_an_order_of_its_own_user_counts_whatever_would_be_prevented(
    market: Market, mode: SelfTradePrevention
) -> None:
    market.sell("mine", 1, 100)
    assert market.buy("p", 5, 100, post_only=True, self_trade_prevention=mode) == [
        market.refused("p", WOULD_TAKE)
    ]
    assert market.asks == [("mine", 1, 100)]


def test_stops_that_wait_do_not_count(market: Market) -> None:
    market.sell("s", 5, 100, order_type=STOP_LIMIT, stop_price=90)
    assert market.buy("p", 5, 100, post_only=True) == [
        market.matched("p", BUY, 5, 100, rested=5, conditions=POST)
    ]


def test_what_expires_first_does_not_count(market: Market) -> None:
    market.sell("s", 5, 100, time_in_force=GTD, expires_at=seconds(2))
    assert market.buy("p", 5, 100, post_only=True, at=seconds(2)) == [
        market.matched(
            "p",
            BUY,
            5,
            100,
            rested=5,
            conditions=POST,
            expired=[departure("s", SELL, 5, 100)],
        )
    ]


def test_an_order_that_is_rejected_has_whatever_was_due_leave_all_the_same(market: Market) -> None:
    market.sell("due", 5, 100, time_in_force=GTD, expires_at=seconds(3))
    market.sell("stays", 5, 100)
    assert market.buy("p", 5, 100, post_only=True) == [
        market.refused("p", WOULD_TAKE, expired=[departure("due", SELL, 5, 100)])
    ]
    assert market.asks == [("stays", 5, 100)]


def test_it_trades_as_a_maker_and_keeps_its_turn(market: Market) -> None:
    market.sell("p", 5, 100, post_only=True)
    market.sell("later", 5, 100)
    assert market.buy("b", 7, 100) == [
        market.matched(
            "b",
            BUY,
            7,
            100,
            fills=[fill(1, "p", 100, 5, left=0), fill(2, "later", 100, 2, left=3)],
        )
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"time_in_force": GTD, "expires_at": seconds(60)},
        {"display_quantity": 2},
        {"time_in_force": GTD, "expires_at": seconds(60), "display_quantity": 2},
    ],
)
def test_it_goes_together_with_a_time_and_with_a_displayed_quantity(
    market: Market, more: dict[str, Any]
) -> None:
    market.sell("other", 5, 101)
    assert market.buy("p", 5, 100, post_only=True, **more) == [
        market.matched(
            "p",
            BUY,
            5,
            100,
            rested=5,
            shown=more.get("display_quantity", 5),
            conditions=Conditions(post_only=True, **more),
        )
    ]
    assert market.buy("q", 5, 101, post_only=True, **more) == [market.refused("q", WOULD_TAKE)]


def test_a_day_order_can_be_post_only(market: Market) -> None:
    ends = seconds(12 * 3600)
    conditions = Conditions(post_only=True, time_in_force=TimeInForce.DAY, expires_at=ends)
    assert market.buy("p", 5, 100, post_only=True, time_in_force=TimeInForce.DAY) == [
        market.matched("p", BUY, 5, 100, rested=5, conditions=conditions)
    ]


def test_its_story_is_that_of_a_rejected_order(exchange: Exchange) -> None:
    exchange.sell("s", 1, 100)
    exchange.buy("p", 5, 100, post_only=True)
    assert exchange.story("p")[1:] == [
        told(
            Order.Rejected,
            originator_id=order_id("p"),
            originator_version=2,
            timestamp=seconds(2),
            user_id="user",
            asset="BTC-USD",
            book_version=2,
            status=OrderStatus.REJECTED,
            reason=WOULD_TAKE,
        )
    ]
    assert exchange["p"].reason is WOULD_TAKE
