"""An order's life, from PENDING to its end, told by its own events."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import CancelReason, OrderClosed, RejectReason
from domain.order import Order, OrderFill
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import (
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    Terms,
    TimeInForce,
    average_price,
)
from tests.domain.support import Event, Exchange, event, order_id, request_id, seconds, told

TERMS = Terms("ann", "BTC-USD", Side.BUY, 100, 5)


def placed(name: str, **changes: Any) -> Event:
    facts: dict[str, Any] = {
        "originator_id": order_id(name),
        "originator_version": 1,
        "originator_topic": "order",
        "timestamp": seconds(1),
        "user_id": "user",
        "asset": "BTC-USD",
        "side": Side.BUY,
        "price": 100,
        "quantity": 5,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "client_order_id": None,
        "post_only": False,
        "stop_price": None,
        "take_profit": False,
        "display_quantity": None,
        "expires_at": None,
        "self_trade_prevention": SelfTradePrevention.NONE,
        "quote_quantity": None,
    }
    return event(Order.Created, **(facts | changes))


def decided(name: str, version: int, decision: int, **facts: Any) -> dict[str, Any]:
    """What each event has: its place in the order's story, and the book's decision."""
    return {
        "originator_id": order_id(name),
        "originator_version": version,
        "timestamp": seconds(decision),
        "user_id": "user",
        "asset": "BTC-USD",
        "book_version": decision,
    } | facts


def refuse(exchange: Exchange, name: str) -> None:
    terms = Terms("user", "BTC-USD", Side.BUY, 100, 5)
    exchange.refuse(exchange.new_order(name, terms, seconds(1)), RejectReason.INTERNAL_ERROR)


# Being placed.


def test_an_order_that_was_placed_is_pending_and_has_all_its_terms() -> None:
    terms = Terms(
        "ann",
        "ETH-USD",
        Side.SELL,
        7,
        9,
        OrderType.LIMIT,
        TimeInForce.IOC,
        "my first",
    )
    order = Order.place(order_id("a"), terms, seconds(1))
    assert order.collect_events() == [
        placed(
            "a",
            user_id="ann",
            asset="ETH-USD",
            side=Side.SELL,
            price=7,
            quantity=9,
            time_in_force=TimeInForce.IOC,
            client_order_id="my first",
        )
    ]
    assert order.id == order_id("a")
    assert order.terms == terms
    assert order.status is OrderStatus.PENDING
    assert (order.price, order.quantity, order.filled_quantity, order.notional) == (7, 9, 0, 0)
    assert order.reason is None
    assert order.book_version == 0
    assert order.created_on == order.modified_on == seconds(1)
    assert average_price(order.notional, order.filled_quantity) is None


def test_what_can_be_changed_begins_as_it_was_asked() -> None:
    terms = TERMS._replace(order_type=OrderType.STOP_LIMIT, stop_price=90, display_quantity=1)
    order = Order.place(order_id("a"), terms, seconds(1))
    assert (order.stop_price, order.display_quantity) == (90, 1)
    assert (order.limit, order.updated_on) == (None, seconds(1))


def test_an_order_is_limit_and_good_till_cancelled_unless_told() -> None:
    assert TERMS.order_type is OrderType.LIMIT
    assert TERMS.time_in_force is TimeInForce.GTC
    assert TERMS.client_order_id is None


# Each status.


def test_an_order_that_rests_is_open() -> None:
    exchange = Exchange()
    exchange.buy("a", 5, 100)
    assert exchange.story("a") == [
        placed("a"),
        told(Order.Opened, **decided("a", 2, 1, status=OrderStatus.OPEN)),
    ]
    assert exchange["a"].status is OrderStatus.OPEN
    assert exchange["a"].book_version == 1


def test_a_maker_is_partially_filled_and_then_filled() -> None:
    exchange = Exchange()
    exchange.buy("a", 5, 100)
    exchange.sell("b", 2, 90)
    exchange.sell("c", 3, 100)
    assert exchange.story("a") == [
        placed("a"),
        told(Order.Opened, **decided("a", 2, 1, status=OrderStatus.OPEN)),
        told(
            Order.Filled,
            **decided("a", 3, 2, status=OrderStatus.PARTIALLY_FILLED),
            fills=(OrderFill(1, 100, 2, Liquidity.MAKER),),
        ),
        told(
            Order.Filled,
            **decided("a", 4, 3, status=OrderStatus.FILLED),
            fills=(OrderFill(2, 100, 3, Liquidity.MAKER),),
        ),
    ]
    assert exchange["a"].status is OrderStatus.FILLED
    assert exchange["a"].filled_quantity == 5
    assert exchange["a"].notional == 500


def test_a_taker_that_is_filled_at_once_was_never_open() -> None:
    exchange = Exchange()
    exchange.sell("a", 2, 98)
    exchange.sell("b", 3, 100)
    exchange.buy("taker", 5, 100)
    assert exchange.story("taker") == [
        placed("taker", timestamp=seconds(3)),
        told(
            Order.Filled,
            **decided("taker", 2, 3, status=OrderStatus.FILLED),
            fills=(
                OrderFill(1, 98, 2, Liquidity.TAKER),
                OrderFill(2, 100, 3, Liquidity.TAKER),
            ),
        ),
    ]
    assert exchange["taker"].filled_quantity == 5
    assert exchange["taker"].notional == 2 * 98 + 3 * 100


def test_a_cancelled_order_keeps_what_remained_and_its_fills() -> None:
    exchange = Exchange()
    exchange.buy("a", 5, 100)
    exchange.sell("b", 2, 100)
    exchange.cancel("a")
    assert exchange.story("a")[-1] == told(
        Order.Cancelled,
        **decided("a", 4, 3, status=OrderStatus.CANCELLED),
        request_id=request_id(3),
        reason=CancelReason.USER_REQUEST,
    )
    order = exchange["a"]
    assert order.status is OrderStatus.CANCELLED
    assert order.reason is CancelReason.USER_REQUEST
    assert (order.quantity, order.filled_quantity) == (5, 2)


def test_an_ioc_that_found_too_little_is_expired_with_its_fills() -> None:
    exchange = Exchange()
    exchange.sell("b", 2, 100)
    exchange.buy("a", 5, 100, time_in_force=TimeInForce.IOC)
    assert exchange.story("a") == [
        placed("a", time_in_force=TimeInForce.IOC, timestamp=seconds(2)),
        told(
            Order.Expired,
            **decided("a", 2, 2, status=OrderStatus.EXPIRED),
            fills=(OrderFill(1, 100, 2, Liquidity.TAKER),),
            reason=CancelReason.INSUFFICIENT_LIQUIDITY,
        ),
    ]
    order = exchange["a"]
    assert order.status is OrderStatus.EXPIRED
    assert order.reason is CancelReason.INSUFFICIENT_LIQUIDITY
    assert (order.quantity, order.filled_quantity) == (5, 2)


def test_an_order_that_a_rule_forbade_is_rejected_with_the_reason() -> None:
    exchange = Exchange()
    refuse(exchange, "a")
    assert exchange.story("a") == [
        placed("a"),
        told(
            Order.Rejected,
            **decided("a", 2, 1, status=OrderStatus.REJECTED),
            reason=RejectReason.INTERNAL_ERROR,
        ),
    ]
    assert exchange["a"].status is OrderStatus.REJECTED
    assert exchange["a"].reason is RejectReason.INTERNAL_ERROR


# Being amended.


def test_an_amended_order_shows_its_new_price_and_total_and_what_it_traded() -> None:
    exchange = Exchange()
    exchange.buy("a", 5, 100)
    exchange.sell("b", 1, 100)
    exchange.sell("c", 3, 110)
    exchange.amend("a", price=120, quantity=9)
    assert exchange.story("a")[-1] == told(
        Order.Replaced,
        **decided("a", 4, 4, status=OrderStatus.PARTIALLY_FILLED),
        request_id=request_id(4),
        price=120,
        quantity=9,
        fills=(OrderFill(2, 110, 3, Liquidity.TAKER),),
    )
    order = exchange["a"]
    assert (order.price, order.quantity, order.filled_quantity) == (120, 9, 4)
    assert order.notional == 1 * 100 + 3 * 110
    assert order.terms == Terms("user", "BTC-USD", Side.BUY, 100, 5)  # as they were asked


def test_a_refused_request_changes_nothing_but_is_in_the_story() -> None:
    exchange = Exchange()
    exchange.buy("a", 5, 100)
    exchange.sell("b", 3, 100)
    exchange.amend("a", quantity=3)
    assert exchange.story("a")[-1] == told(
        Order.RequestRefused,
        **decided("a", 4, 3, status=OrderStatus.PARTIALLY_FILLED),
        request_id=request_id(3),
        reason=RejectReason.QUANTITY_NOT_ABOVE_FILLED,
    )
    order = exchange["a"]
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert (order.price, order.quantity, order.filled_quantity) == (100, 5, 3)
    assert order.reason is None


def test_a_decision_that_is_told_again_is_in_the_story_once() -> None:
    exchange = Exchange()
    exchange.buy("a", 5, 100)
    exchange.sell("b", 1, 100)
    before = exchange["a"].version
    for decision in (1, 2):
        exchange["a"].record(
            Order.Opened, book_version=decision, status=OrderStatus.OPEN, timestamp=seconds(9)
        )
    assert exchange["a"].version == before
    assert exchange["a"].status is OrderStatus.PARTIALLY_FILLED


@pytest.mark.parametrize("asked", ["cancel", "amend"])
def test_a_request_that_came_too_late_leaves_a_terminal_order_as_it_was(asked: str) -> None:
    exchange = Exchange()
    exchange.buy("a", 5, 100)
    exchange.sell("b", 5, 100)
    if asked == "cancel":
        exchange.cancel("a")
    else:
        exchange.amend("a", price=1)
    assert exchange.story("a")[-1] == told(
        Order.RequestRefused,
        **decided("a", 4, 3, status=OrderStatus.FILLED),
        request_id=request_id(3),
        reason=RejectReason.ORDER_NOT_OPEN,
    )
    assert exchange["a"].status is OrderStatus.FILLED
    assert exchange["a"].price == 100


# What is asked of it.


def test_a_cancel_is_asked_for_in_an_event_of_its_own() -> None:
    order = Order.place(order_id("a"), TERMS, seconds(1))
    request = order.request_cancel(request_id(1), seconds(2))
    assert request.collect_events() == [
        event(
            CancelRequest.Created,
            originator_id=request_id(1),
            originator_version=1,
            originator_topic="cancel_request",
            timestamp=seconds(2),
            user_id="ann",
            asset="BTC-USD",
            order_id=order_id("a"),
        )
    ]
    assert order.version == 1
    assert order.status is OrderStatus.PENDING


@pytest.mark.parametrize(("price", "quantity"), [(101, None), (None, 6), (101, 6)])
def test_an_amendment_is_asked_for_in_an_event_of_its_own(
    price: int | None, quantity: int | None
) -> None:
    order = Order.place(order_id("a"), TERMS, seconds(1))
    request = order.request_replace(request_id(1), seconds(2), price=price, quantity=quantity)
    assert request.collect_events() == [
        event(
            ReplaceRequest.Created,
            originator_id=request_id(1),
            originator_version=1,
            originator_topic="replace_request",
            timestamp=seconds(2),
            user_id="ann",
            asset="BTC-USD",
            order_id=order_id("a"),
            price=price,
            quantity=quantity,
            stop_price=None,
            display_quantity=None,
        )
    ]
    assert order.version == 1
    assert (order.price, order.quantity) == (100, 5)


def _open(exchange: Exchange) -> None:
    exchange.buy("a", 5, 100)


def _partially_filled(exchange: Exchange) -> None:
    exchange.buy("a", 5, 100)
    exchange.sell("b", 1, 100)


def _filled(exchange: Exchange) -> None:
    exchange.buy("a", 5, 100)
    exchange.sell("b", 5, 100)


def _cancelled(exchange: Exchange) -> None:
    exchange.buy("a", 5, 100)
    exchange.cancel("a")


def _expired(exchange: Exchange) -> None:
    exchange.buy("a", 5, 100, time_in_force=TimeInForce.IOC)


def _rejected(exchange: Exchange) -> None:
    refuse(exchange, "a")


LIVES = {
    OrderStatus.OPEN: _open,
    OrderStatus.PARTIALLY_FILLED: _partially_filled,
    OrderStatus.FILLED: _filled,
    OrderStatus.CANCELLED: _cancelled,
    OrderStatus.EXPIRED: _expired,
    OrderStatus.REJECTED: _rejected,
}
TERMINAL = {
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.EXPIRED,
    OrderStatus.REJECTED,
}


def test_every_status_is_reached_by_these_tests() -> None:
    assert {*LIVES, OrderStatus.PENDING} == set(OrderStatus)


@pytest.mark.parametrize(("status", "live"), LIVES.items(), ids=LIVES.keys())
def test_only_an_order_that_still_trades_can_be_asked_for_changes(
    status: OrderStatus, live: Callable[[Exchange], None]
) -> None:
    exchange = Exchange()
    live(exchange)
    order = exchange["a"]
    assert order.status is status
    assert order.status.is_terminal == (status in TERMINAL)
    if status not in TERMINAL:
        order.request_cancel(request_id(50), seconds(50))
        order.request_replace(request_id(51), seconds(51), price=1, quantity=1)
        return
    with pytest.raises(OrderClosed) as refused:
        order.request_cancel(request_id(50), seconds(50))
    assert refused.value.status == status
    with pytest.raises(OrderClosed) as refused:
        order.request_replace(request_id(51), seconds(51), price=1, quantity=1)
    assert refused.value.status == status


def test_a_pending_order_still_trades() -> None:
    assert not OrderStatus.PENDING.is_terminal


@pytest.mark.parametrize(("status", "live"), LIVES.items(), ids=LIVES.keys())
def test_an_order_rebuilt_from_its_events_is_the_same(
    status: OrderStatus, live: Callable[[Exchange], None]
) -> None:
    exchange = Exchange()
    live(exchange)
    rebuilt = None
    for each in exchange.story("a"):
        rebuilt = each.mutate(rebuilt)
    assert rebuilt == exchange["a"]


# Its sums.


@pytest.mark.parametrize(("status", "live"), LIVES.items(), ids=LIVES.keys())
def test_filled_and_remaining_are_the_quantity(
    status: OrderStatus, live: Callable[[Exchange], None]
) -> None:
    exchange = Exchange()
    live(exchange)
    order = exchange["a"]
    resting = exchange.book.book.orders.get(order.id)
    assert (resting is None) == (status in TERMINAL)
    if resting is not None:
        assert order.filled_quantity + resting.remaining == order.quantity
    if status is OrderStatus.FILLED:
        assert order.filled_quantity == order.quantity


def test_the_average_price_is_that_of_all_fills() -> None:
    exchange = Exchange()
    exchange.sell("a", 1, 100)
    exchange.sell("b", 2, 103)
    exchange.buy("taker", 4, 103)
    order = exchange["taker"]
    assert (order.notional, order.filled_quantity) == (306, 3)
    assert average_price(order.notional, order.filled_quantity) == 102
    exchange.sell("c", 1, 50)  # at the price of who waited, 103
    assert average_price(order.notional, order.filled_quantity) == 102  # 409 / 4 = 102.25
