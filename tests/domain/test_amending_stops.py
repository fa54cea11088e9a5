"""Changing stops: while they wait, and when they have been triggered."""

from typing import Any

import pytest

from domain.errors import RejectReason
from domain.order import Order
from domain.values import Conditions, OrderStatus, OrderType
from tests.domain.support import Exchange, Market, fill, order_id, request_id, seconds, told
from tests.domain.words import (
    BUY,
    SELL,
    STOP,
    STOP_LIMIT,
    TOO_LITTLE,
    UNIT,
    execution,
    stop,
    stop_limit,
)

SEEN = {"shown": 0, "previous_shown": 0}


@pytest.fixture
def queue(market: Market) -> Market:
    """Two stops that wait to buy at 100, the first to be a limit order at 105."""
    market.buy("first", 5, 105, order_type=STOP_LIMIT, stop_price=100)
    market.buy("second", 5, None, order_type=STOP, stop_price=100)
    return market


def waiting(market: Market) -> list[str]:
    return [market.names[order.order_id] for order in market.book.floor.stops]


def trade(market: Market, price: int) -> Any:
    market.sell("maker", 1, price)
    [matched] = market.buy("taker", 1, price)
    return matched.triggered


@pytest.mark.parametrize(
    ("changes", "quantity", "price"),
    [
        ({"quantity": 4}, 4, 105),
        ({"quantity": 5}, 5, 105),
        ({"price": 110}, 5, 110),
        ({"price": 90, "quantity": 1}, 1, 90),
        ({"stop_price": 100}, 5, 105),
    ],
)
def test_less_or_another_price_keeps_the_place(
    queue: Market, changes: dict[str, Any], quantity: int, price: int
) -> None:
    assert queue.amend("first", **changes) == [
        queue.reduced(
            "first",
            BUY,
            quantity,
            price,
            remaining=quantity,
            was=5,
            conditions=stop_limit(100),
            **SEEN,
        )
    ]
    assert waiting(queue) == ["first", "second"]
    assert trade(queue, 100) == (
        execution("first", BUY, quantity, price, rested=quantity),
        execution("second", BUY, 5, None, reason=TOO_LITTLE),
    )


def test_another_price_and_less_of_one_that_goes_on_waiting_are_in_its_event(
    queue: Market,
) -> None:
    """The fixture has the events alone give the book again, and this stop waits to the end."""
    queue.amend("first", price=110, quantity=4)
    first, _ = queue.book.floor.stops
    assert (first.price, first.quantity, first.remaining) == (110, 4, 4)


def test_a_larger_quantity_loses_the_place(queue: Market) -> None:
    assert queue.amend("first", quantity=6) == [
        queue.replaced(
            "first",
            BUY,
            6,
            105,
            was=(5, 105),
            rested=6,
            waits=True,
            conditions=stop_limit(100),
            **SEEN,
        )
    ]
    assert waiting(queue) == ["second", "first"]


def test_another_trigger_loses_the_place(queue: Market) -> None:
    assert queue.amend("first", stop_price=101) == [
        queue.replaced(
            "first",
            BUY,
            5,
            105,
            was=(5, 105),
            rested=5,
            waits=True,
            conditions=stop_limit(101),
            **SEEN,
        )
    ]
    queue.amend("first", stop_price=100)
    assert waiting(queue) == ["second", "first"]
    assert [each.order_id for each in trade(queue, 100)] == [
        order_id("second"),
        order_id("first"),
    ]


@pytest.mark.parametrize("display", [1, 2, 4])
def test_another_display_keeps_the_place_of_one_that_waits(market: Market, display: int) -> None:
    terms = {"order_type": STOP_LIMIT, "stop_price": 100, "display_quantity": 2}
    market.buy("ice", 5, 105, **terms)
    market.buy("behind", 5, 105, **terms)
    assert market.amend("ice", display_quantity=display) == [
        market.reduced(
            "ice",
            BUY,
            5,
            105,
            remaining=5,
            was=5,
            conditions=stop_limit(100, display_quantity=display),
            **SEEN,
        )
    ]
    assert trade(market, 100) == (
        execution("ice", BUY, 5, 105, rested=5, shown=display),
        execution("behind", BUY, 5, 105, rested=5, shown=2),
    )


def test_a_trigger_that_the_last_trade_is_through_triggers_at_once(market: Market) -> None:
    trade(market, 99)
    market.buy("stop", 5, 105, order_type=STOP_LIMIT, stop_price=100)
    market.sell("ask", 2, 104)
    assert market.amend("stop", stop_price=99) == [
        market.replaced(
            "stop",
            BUY,
            5,
            105,
            was=(5, 105),
            rested=5,
            waits=True,
            conditions=stop_limit(99),
            triggered=[execution("stop", BUY, 5, 105, [fill(2, "ask", 104, 2, left=0)], rested=3)],
            **SEEN,
        )
    ]
    assert (market.bids, waiting(market)) == ([("stop", 3, 105)], [])


def test_what_it_sets_off_is_settled_too(market: Market) -> None:
    trade(market, 99)
    market.buy("next", 1, None, order_type=STOP, stop_price=104)
    market.buy("stop", 2, None, order_type=STOP, stop_price=100)
    market.sell("ask", 2, 104)
    assert market.amend("stop", stop_price=98) == [
        market.replaced(
            "stop",
            BUY,
            2,
            None,
            was=(2, None),
            rested=2,
            waits=True,
            conditions=stop(98),
            triggered=[
                execution("stop", BUY, 2, None, [fill(2, "ask", 104, 2, left=0)]),
                execution("next", BUY, 1, None, reason=TOO_LITTLE),
            ],
            **SEEN,
        )
    ]


# Once triggered it is a limit order.


def test_one_that_was_triggered_is_changed_as_a_limit_order(queue: Market) -> None:
    trade(queue, 100)
    limit = Conditions(order_type=OrderType.STOP_LIMIT)
    assert queue.amend("first", quantity=4) == [
        queue.reduced("first", BUY, 4, 105, remaining=4, was=5, conditions=limit)
    ]
    assert queue.amend("first", price=104) == [
        queue.replaced("first", BUY, 4, 104, was=(4, 105), rested=4, conditions=limit)
    ]
    assert queue.sell("s", 4, 104) == [
        queue.matched("s", SELL, 4, 104, fills=[fill(2, "first", 104, 4, left=0)])
    ]


def test_one_that_took_profit_is_a_limit_order_as_any_other(market: Market) -> None:
    market.buy("first", 5, 105, order_type=STOP_LIMIT, stop_price=100, take_profit=True)
    assert trade(market, 100) == (execution("first", BUY, 5, 105, rested=5),)
    limit = Conditions(order_type=OrderType.STOP_LIMIT)
    assert market.amend("first", quantity=4) == [
        market.reduced("first", BUY, 4, 105, remaining=4, was=5, conditions=limit)
    ]


def test_a_trigger_and_its_end_are_one_event_of_the_order(exchange: Exchange) -> None:
    trade(exchange, 1_000)
    exchange.buy("stop", 5, None, order_type=STOP, stop_price=1_100)
    exchange.amend("stop", stop_price=1_000)
    assert exchange.story("stop")[2:] == [
        told(
            Order.Replaced,
            originator_id=order_id("stop"),
            originator_version=3,
            timestamp=seconds(4),
            user_id="user",
            asset="BTC-USD",
            book_version=4,
            status=OrderStatus.EXPIRED,
            request_id=request_id(4),
            price=None,
            quantity=5,
            stop_price=1_000,
            reason=TOO_LITTLE,
        )
    ]
    order = exchange["stop"]
    assert (order.stop_price, order.reason) == (1_000, TOO_LITTLE)


@pytest.mark.parametrize(
    ("terms", "changes", "reason", "limit"),
    [
        ({"price": 110}, {}, RejectReason.PRICE_TOO_HIGH, 101),
        ({"price": 100}, {"price": 102}, RejectReason.PRICE_TOO_HIGH, 101),
        ({"price": 101, "post_only": True}, {}, RejectReason.POST_ONLY_WOULD_TAKE, None),
    ],
)
def test_a_trigger_that_would_come_at_once_and_be_forbidden_is_refused_and_the_stop_goes_on_waiting(
    market: Market,
    terms: dict[str, Any],
    changes: dict[str, Any],
    reason: RejectReason,
    limit: int | None,
) -> None:
    trade(market, 100)
    market.sell("maker", 1, 101)
    market.set_rules(band_percent=UNIT)
    terms = {"quantity": 5, "order_type": STOP_LIMIT, "stop_price": 105, **terms}
    market.buy("stop", **terms)
    assert market.amend("stop", stop_price=100, **changes) == [
        market.request_refused("stop", reason, limit)
    ]
    assert waiting(market) == ["stop"]
    assert market.amend("stop", stop_price=104) != []
    assert waiting(market) == ["stop"]


def test_a_stop_keeps_a_trigger_that_a_newer_tick_would_not_let_in(market: Market) -> None:
    market.buy("stop", 5, None, order_type=STOP, stop_price=105)
    market.set_rules(tick_size=10)
    [reduced] = market.amend("stop", quantity=4)
    assert (reduced.quantity, waiting(market)) == (4, ["stop"])
    assert market.amend("stop", quantity=6) == [
        market.request_refused("stop", RejectReason.TICK_SIZE, 10)
    ]
