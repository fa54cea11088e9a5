"""What both orders tell of self-trade prevention."""

from typing import Any

from domain.order import Order, OrderFill
from domain.values import Liquidity, OrderStatus
from tests.domain.support import Event, Exchange, order_id, seconds, told
from tests.domain.test_self_trade_of_all_types import buy
from tests.domain.test_self_trade_prevention import BOTH, DECREMENT, TAKER
from tests.domain.words import IOC, PREVENTED, TOO_LITTLE


def said(name: str, kind: type[Any], version: int, decision: int, **facts: Any) -> Event:
    return told(
        kind,
        originator_id=order_id(name),
        originator_version=version,
        timestamp=seconds(decision),
        user_id="ann",
        asset="BTC-USD",
        book_version=decision,
        **facts,
    )


def test_both_orders_tell_that_they_were_lowered_or_cancelled(exchange: Exchange) -> None:
    exchange.sell("mine", 4, 100, user="ann")
    exchange.sell("his", 9, 100, user="bob")
    buy(exchange, 6, DECREMENT)
    fills = (OrderFill(1, 100, 2, Liquidity.TAKER),)
    assert exchange.story("b")[1:] == [
        said("b", Order.Decremented, 2, 3, status=OrderStatus.FILLED, quantity=2, fills=fills)
    ]
    assert exchange.story("mine")[2:] == [
        said("mine", Order.Cancelled, 3, 3, status=OrderStatus.CANCELLED, reason=PREVENTED)
    ]
    assert (exchange["b"].quantity, exchange["b"].filled_quantity) == (2, 2)
    assert (exchange["mine"].quantity, exchange["mine"].filled_quantity) == (4, 0)


def test_a_maker_that_was_lowered_stays_what_it_was(exchange: Exchange) -> None:
    exchange.sell("mine", 4, 100, user="ann")
    exchange.buy("his", 1, 100, user="bob")
    buy(exchange, 2, DECREMENT)
    assert exchange.story("mine")[3:] == [
        said("mine", Order.Decremented, 4, 3, status=OrderStatus.PARTIALLY_FILLED, quantity=2)
    ]
    assert exchange.story("b")[1:] == [
        said("b", Order.Cancelled, 2, 3, status=OrderStatus.CANCELLED, reason=PREVENTED)
    ]
    assert (exchange["mine"].quantity, exchange["mine"].filled_quantity) == (2, 1)
    assert exchange["b"].quantity == 2


def test_a_taker_that_traded_first_tells_that_it_was_cancelled_with_its_fills(
    exchange: Exchange,
) -> None:
    exchange.sell("his", 1, 100, user="bob")
    exchange.sell("mine", 4, 100, user="ann")
    buy(exchange, 6, TAKER)
    fills = (OrderFill(1, 100, 1, Liquidity.TAKER),)
    facts: dict[str, Any] = {"status": OrderStatus.CANCELLED, "reason": PREVENTED, "fills": fills}
    assert exchange.story("b")[1:] == [said("b", Order.Cancelled, 2, 3, **facts)]
    assert (exchange["b"].quantity, exchange["b"].filled_quantity) == (6, 1)
    assert len(exchange.story("mine")) == 2, "placed, opened, and not touched"


def test_both_tell_that_they_were_cancelled(exchange: Exchange) -> None:
    exchange.sell("mine", 4, 100, user="ann")
    buy(exchange, 4, BOTH)
    for name, version in (("mine", 3), ("b", 2)):
        assert exchange.story(name)[version - 1 :] == [
            said(name, Order.Cancelled, version, 2, status=OrderStatus.CANCELLED, reason=PREVENTED)
        ]


def test_a_taker_that_was_lowered_and_rests_is_open_with_the_smaller_quantity(
    exchange: Exchange,
) -> None:
    exchange.sell("mine", 4, 100, user="ann")
    buy(exchange, 6, DECREMENT)
    assert exchange.story("b")[1:] == [
        said("b", Order.Decremented, 2, 2, status=OrderStatus.OPEN, quantity=2)
    ]


def test_a_taker_that_was_lowered_and_expired_tells_both_in_one_event(exchange: Exchange) -> None:
    exchange.sell("mine", 4, 100, user="ann")
    buy(exchange, 6, DECREMENT, time_in_force=IOC)
    facts: dict[str, Any] = {"status": OrderStatus.EXPIRED, "reason": TOO_LITTLE, "quantity": 2}
    assert exchange.story("b")[1:] == [said("b", Order.Expired, 2, 2, **facts)]
    assert exchange["b"].quantity == 2
