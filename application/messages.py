"""The public JSON of every event, field by field: what an audit trail shows.

A message is a dictionary ready to be written as JSON: camelCase names, amounts exact, times
with their zone. Only what is named here is public, whatever else an event holds.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import singledispatch
from typing import Any, Final, Protocol

import msgspec

from domain.errors import Reason
from domain.order import Order, OrderFill
from domain.order_book import Fill, OrderBook
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import format_units

Message = dict[str, Any]
BookDecision = (
    OrderBook.Matched
    | OrderBook.Cancelled
    | OrderBook.Reduced
    | OrderBook.Replaced
    | OrderBook.Refused
)

# The public names, and what the stored topics are called today. Who listens knows these:
# they stay, whatever becomes of the topics.
TYPES: Final[Mapping[type, str]] = {
    Order.Created: "order.placed",
    Order.Opened: "order.opened",
    Order.Filled: "order.filled",
    Order.Expired: "order.expired",
    Order.Rejected: "order.rejected",
    Order.Cancelled: "order.cancelled",
    Order.Replaced: "order.replaced",
    Order.RequestRefused: "order.request_refused",
    CancelRequest.Created: "request.cancel",
    ReplaceRequest.Created: "request.replace",
    OrderBook.Created: "book.opened",
    OrderBook.Matched: "book.matched",
    OrderBook.Cancelled: "book.cancelled",
    OrderBook.Reduced: "book.reduced",
    OrderBook.Replaced: "book.replaced",
    OrderBook.Refused: "book.refused",
}


class MarketEvent(Protocol):
    """What all our events have."""

    @property
    def timestamp(self) -> datetime: ...


def amount(units: int) -> msgspec.Raw:
    """An amount as the JSON number that says exactly what it is: 45000, 0.1, 0.00000001."""
    return msgspec.Raw(format_units(units).encode())


def message(event: MarketEvent) -> Message:
    """The public form of an event."""
    return {"type": TYPES[type(event)], "occurredAt": event.timestamp, **_details(event)}


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


@_details.register
def _(event: OrderBook.Created) -> Message:
    return {"asset": event.asset, "bookVersion": event.originator_version}


@_details.register
def _(event: OrderBook.Matched) -> Message:
    return {
        **_decision(event),
        **_terms(event),
        "trades": _trades(event.fills),
        "rested": amount(event.rested),
        **_reason(event.reason),
    }


@_details.register
def _(event: OrderBook.Cancelled) -> Message:
    return {
        **_decision(event),
        "requestId": event.request_id,
        "side": event.side,
        "price": amount(event.price),
        "remaining": amount(event.remaining),
        **_reason(event.reason),
    }


@_details.register
def _(event: OrderBook.Reduced) -> Message:
    return {
        **_decision(event),
        "requestId": event.request_id,
        **_terms(event),
        "remaining": amount(event.remaining),
        "previousRemaining": amount(event.previous_remaining),
    }


@_details.register
def _(event: OrderBook.Replaced) -> Message:
    return {
        **_decision(event),
        "requestId": event.request_id,
        **_terms(event),
        "previousPrice": amount(event.previous_price),
        "previousRemaining": amount(event.previous_remaining),
        "trades": _trades(event.fills),
        "rested": amount(event.rested),
    }


@_details.register
def _(event: OrderBook.Refused) -> Message:
    return {**_decision(event), "requestId": event.request_id, **_reason(event.reason)}


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


def _decision(event: BookDecision) -> Message:
    return {
        "asset": event.asset,
        "bookVersion": event.originator_version,
        "orderId": event.order_id,
        "userId": event.user_id,
    }


def _terms(event: OrderBook.Matched | OrderBook.Reduced | OrderBook.Replaced) -> Message:
    return {
        "side": event.side,
        "price": amount(event.price),
        "quantity": amount(event.quantity),
    }


def _trades(fills: Sequence[Fill]) -> list[Message]:
    return [
        {
            "tradeId": fill.trade_id,
            "makerOrderId": fill.maker_order_id,
            "price": amount(fill.price),
            "quantity": amount(fill.quantity),
            "makerRemaining": amount(fill.maker_remaining),
        }
        for fill in fills
    ]


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


def _reason(reason: Reason | None) -> Message:
    return {"reason": reason, "reasonText": reason and reason.sentence}
