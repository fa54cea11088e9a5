"""A request about an order whose time is over: the order's end answers it, in one event."""

from collections.abc import Callable

import pytest

from domain.errors import RejectReason
from domain.order import Order
from domain.values import OrderStatus
from tests.domain.support import (
    Event,
    Exchange,
    Market,
    order_id,
    request_id,
    seconds,
    told,
)
from tests.domain.words import BUY, GTD, OVER, SELL, departure

MINUTE = seconds(60)
NOT_OPEN = RejectReason.ORDER_NOT_OPEN
REQUESTS: dict[str, Callable[[Market, str], list[Event]]] = {
    "a cancel": lambda market, name: market.cancel(name, at=MINUTE),
    "a change": lambda market, name: market.amend(name, quantity=1, at=MINUTE),
}
both = pytest.mark.parametrize("late", REQUESTS.values(), ids=REQUESTS.keys())


def sell(market: Market, name: str) -> None:
    market.sell(name, 5, 100, time_in_force=GTD, expires_at=MINUTE)


@both
def test_the_order_expires_and_the_request_is_refused_in_one_decision(
    market: Market, late: Callable[[Market, str], list[Event]]
) -> None:
    sell(market, "s")
    assert late(market, "s") == [
        market.request_refused("s", NOT_OPEN, expired=[departure("s", SELL, 5, 100)])
    ]
    assert market.asks == []


@both
def test_the_orders_one_event_is_expired_and_carries_the_request(
    exchange: Exchange, late: Callable[[Market, str], list[Event]]
) -> None:
    sell(exchange, "s")
    exchange.story("s")
    late(exchange, "s")
    assert exchange.story("s") == [
        told(
            Order.Expired,
            originator_id=order_id("s"),
            originator_version=3,
            timestamp=MINUTE,
            user_id="user",
            asset="BTC-USD",
            book_version=2,
            status=OrderStatus.EXPIRED,
            reason=OVER,
            request_id=request_id(2),
        )
    ]
    assert (exchange["s"].status, exchange["s"].reason) == (OrderStatus.EXPIRED, OVER)
    assert exchange["s"].quantity == 5


@both
def test_others_that_expire_at_that_moment_carry_no_request(
    exchange: Exchange, late: Callable[[Market, str], list[Event]]
) -> None:
    sell(exchange, "other")
    sell(exchange, "s")
    late(exchange, "s")
    other, asked = (exchange.story(name)[-1] for name in ("other", "s"))
    assert (type(other), other.request_id) == (Order.Expired, None)
    assert (type(asked), asked.request_id) == (Order.Expired, request_id(3))


@both
def test_a_second_request_is_refused_as_about_any_order_that_ended(
    exchange: Exchange, late: Callable[[Market, str], list[Event]]
) -> None:
    sell(exchange, "s")
    exchange.pass_time(MINUTE)
    assert late(exchange, "s") == [exchange.request_refused("s", NOT_OPEN)]
    assert exchange["s"].pending_events[-1] == told(
        Order.RequestRefused,
        originator_id=order_id("s"),
        originator_version=4,
        timestamp=MINUTE,
        user_id="user",
        asset="BTC-USD",
        book_version=3,
        status=OrderStatus.EXPIRED,
        request_id=request_id(3),
        reason=NOT_OPEN,
    )


def test_a_request_about_one_order_has_others_expire(market: Market) -> None:
    sell(market, "due")
    market.buy("b", 5, 50)
    assert market.amend("b", quantity=4, at=MINUTE) == [
        market.reduced(
            "b",
            BUY,
            4,
            50,
            remaining=4,
            was=5,
            expired=[departure("due", SELL, 5, 100)],
        )
    ]
    sell(market, "due at once")
    assert market.cancel("b") == [market.cancelled("b", BUY, 4, 50)]


def test_a_cancel_has_others_expire(market: Market) -> None:
    sell(market, "due")
    market.buy("b", 5, 50)
    assert market.cancel("b", at=MINUTE) == [
        market.cancelled("b", BUY, 5, 50, expired=[departure("due", SELL, 5, 100)])
    ]


def test_an_order_that_moves_does_not_meet_what_has_expired(market: Market) -> None:
    sell(market, "due")
    market.buy("b", 5, 50)
    assert market.amend("b", price=100, at=MINUTE) == [
        market.replaced(
            "b",
            BUY,
            5,
            100,
            was=(5, 50),
            rested=5,
            expired=[departure("due", SELL, 5, 100)],
        )
    ]
