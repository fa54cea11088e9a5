"""What the order of a stop tells, and what it is afterwards."""

from typing import Any

import pytest

from domain.errors import RejectReason
from domain.order import Order, OrderFill
from domain.values import Liquidity, OrderStatus
from tests.domain.support import Event, Exchange, order_id, seconds, told
from tests.domain.words import STOP, STOP_LIMIT, TOO_LITTLE, UNIT


def said(kind: type[Any], version: int, decision: int, **facts: Any) -> Event:
    return told(
        kind,
        originator_id=order_id("stop"),
        originator_version=version,
        timestamp=seconds(decision),
        user_id="user",
        asset="BTC-USD",
        book_version=decision,
        **facts,
    )


def taken(trade_id: int, price: int, quantity: int) -> OrderFill:
    return OrderFill(trade_id, price, quantity, Liquidity.TAKER)


@pytest.fixture
def stop(exchange: Exchange) -> Exchange:
    """A stop-limit order that waits since the first command, and an ask at 101."""
    exchange.buy("stop", 5, 102, order_type=STOP_LIMIT, stop_price=100)
    exchange.sell("ask", 3, 101)
    return exchange


def trade(exchange: Exchange, price: int) -> None:
    exchange.sell("maker", 1, price)
    exchange.buy("taker", 1, price)


def test_it_is_open_while_it_waits(stop: Exchange) -> None:
    assert stop.story("stop")[1:] == [said(Order.Opened, 2, 1, status=OrderStatus.OPEN)]


def test_it_is_triggered_with_what_it_traded_then(stop: Exchange) -> None:
    trade(stop, 100)
    assert stop.story("stop")[2:] == [
        said(
            Order.Triggered,
            3,
            4,
            status=OrderStatus.PARTIALLY_FILLED,
            fills=(taken(2, 101, 3),),
        )
    ]
    assert stop["stop"].filled_quantity == 3
    assert stop["ask"].status is OrderStatus.FILLED


def test_it_trades_as_a_maker_afterwards(stop: Exchange) -> None:
    trade(stop, 100)
    stop.sell("s", 2, 102)
    assert stop.story("stop")[3:] == [
        said(
            Order.Filled,
            4,
            5,
            status=OrderStatus.FILLED,
            fills=(OrderFill(3, 102, 2, Liquidity.MAKER),),
        )
    ]


def test_it_is_triggered_and_open_where_it_found_nothing(stop: Exchange) -> None:
    stop.cancel("ask")
    trade(stop, 100)
    assert stop.story("stop")[2:] == [said(Order.Triggered, 3, 5, status=OrderStatus.OPEN)]


def test_it_is_triggered_and_ended_in_one_event(exchange: Exchange) -> None:
    exchange.buy("stop", 5, None, order_type=STOP, stop_price=100)
    trade(exchange, 100)
    assert exchange.story("stop")[2:] == [
        said(Order.Triggered, 3, 3, status=OrderStatus.EXPIRED, reason=TOO_LITTLE)
    ]
    assert exchange["stop"].reason is TOO_LITTLE


def test_it_is_triggered_and_rejected_in_one_event(exchange: Exchange) -> None:
    exchange.set_rules(band_percent=UNIT)
    exchange.buy("stop", 5, 1_050, order_type=STOP_LIMIT, stop_price=1_000)
    trade(exchange, 1_000)
    assert exchange.story("stop")[2:] == [
        said(
            Order.Triggered,
            3,
            4,
            status=OrderStatus.REJECTED,
            rejection=RejectReason.PRICE_TOO_HIGH,
            limit=1_010,
        )
    ]
    order = exchange["stop"]
    assert (order.reason, order.limit) == (RejectReason.PRICE_TOO_HIGH, 1_010)


def test_it_is_one_event_where_it_is_triggered_as_it_arrives(exchange: Exchange) -> None:
    trade(exchange, 100)
    exchange.sell("ask", 9, 101)
    exchange.buy("stop", 5, None, order_type=STOP, stop_price=100)
    assert exchange.story("stop")[1:] == [
        said(Order.Triggered, 2, 4, status=OrderStatus.FILLED, fills=(taken(2, 101, 5),))
    ]
