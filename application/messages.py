"""The public JSON of the events of Orders: what an audit trail shows, field by field.

A message is a dictionary ready to be written as JSON: camelCase names, amounts exact, times
with their zone. Only what is named here is public, whatever else an event holds.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import singledispatch
from typing import Any, Protocol

import msgspec

from domain.errors import Reason
from domain.order import Order, OrderFill
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import format_units

Message = dict[str, Any]


class OrdersEvent(Protocol):
    """What all events of Orders have."""

    TOPIC: str

    @property
    def timestamp(self) -> datetime: ...


def amount(units: int) -> msgspec.Raw:
    """An amount as the JSON number that says exactly what it is: 45000, 0.1, 0.00000001."""
    return msgspec.Raw(format_units(units).encode())


def message(event: OrdersEvent) -> Message:
    """The public form of an event; ``type`` is the event's own name, as it is stored."""
    return {"type": event.TOPIC, "occurredAt": event.timestamp, **_details(event)}


@singledispatch
def _details(event: object) -> Message:
    raise TypeError(f"{type(event).__qualname__} is not a public event")


@_details.register
def _(event: Order.Created) -> Message:
    return {
        "orderId": event.originator_id,
        "userId": event.user_id,
        "asset": event.asset,
        "side": event.side,
        "price": amount(event.price),
        "quantity": amount(event.quantity),
        "orderType": event.order_type,
        "timeInForce": event.time_in_force,
        "clientOrderId": event.client_order_id,
    }


@_details.register
def _(event: CancelRequest.Created) -> Message:
    return _request(event)


@_details.register
def _(event: ReplaceRequest.Created) -> Message:
    return {
        **_request(event),
        "price": None if event.price is None else amount(event.price),
        "quantity": None if event.quantity is None else amount(event.quantity),
    }


@_details.register
def _(event: Order.Opened) -> Message:
    return _decided(event)


@_details.register
def _(event: Order.Filled) -> Message:
    return {**_decided(event), "fills": _fills(event.fills)}


@_details.register
def _(event: Order.Expired) -> Message:
    return {**_decided(event), "fills": _fills(event.fills), **_reason(event.reason)}


@_details.register
def _(event: Order.Rejected) -> Message:
    return {**_decided(event), **_reason(event.reason)}


@_details.register
def _(event: Order.Cancelled) -> Message:
    return {**_decided(event), "requestId": event.request_id, **_reason(event.reason)}


@_details.register
def _(event: Order.Replaced) -> Message:
    return {
        **_decided(event),
        "requestId": event.request_id,
        "price": amount(event.price),
        "quantity": amount(event.quantity),
        "fills": _fills(event.fills),
    }


@_details.register
def _(event: Order.RequestRefused) -> Message:
    return {**_decided(event), "requestId": event.request_id, **_reason(event.reason)}


def _request(event: CancelRequest.Created | ReplaceRequest.Created) -> Message:
    return {
        "requestId": event.originator_id,
        "orderId": event.order_id,
        "userId": event.user_id,
        "asset": event.asset,
    }


def _decided(event: Order.Decided) -> Message:
    return {
        "orderId": event.originator_id,
        "userId": event.user_id,
        "asset": event.asset,
        "status": event.status,
        "bookVersion": event.book_version,
    }


def _fills(fills: Sequence[OrderFill]) -> list[Message]:
    return [
        {
            "tradeId": fill.trade_id,
            "price": amount(fill.price),
            "quantity": amount(fill.quantity),
            "liquidity": fill.liquidity,
        }
        for fill in fills
    ]


def _reason(reason: Reason) -> Message:
    return {"reason": reason, "reasonText": reason.sentence}
