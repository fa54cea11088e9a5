"""What the public messages hold, field by field. Only what is named here is public.

A field that is called otherwise in the event keeps the event's name here, and says what it is
called outside. Fields that only the store needs, and those that follow from others, are left
out: see ``application/reading.py``.
"""

from datetime import datetime
from typing import Annotated, Literal, NewType, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, field

from domain.errors import CancelReason, RejectReason
from domain.values import Liquidity, OrderStatus, OrderType, Side, TimeInForce

Amount: TypeAlias = msgspec.Raw  # the JSON number: see messages.amount and reading.units
OptionalAmount = NewType("OptionalAmount", Amount)  # or null, which msgspec gives as it is
Time: TypeAlias = Annotated[datetime, Meta(tz=True)]
Ordinal: TypeAlias = Annotated[int, Meta(ge=1)]  # counted from 1


class Content(Struct, rename="camel", forbid_unknown_fields=True):
    """One JSON object. What a version of a type holds never changes: not even by a field."""


class OrderTrade(Content):
    """An order's part in one trade."""

    trade_id: Ordinal
    price: Amount
    quantity: Amount
    liquidity: Liquidity


class BookTrade(Content):
    """One trade of the order that a decision is about, its taker."""

    trade_id: Ordinal
    maker_order_id: UUID
    maker_user_id: str
    price: Amount
    quantity: Amount
    maker_remaining: Amount


# The log of Orders.


class OrderPlaced(Content):
    timestamp: Time = field(name="occurredAt")
    originator_id: UUID = field(name="orderId")
    user_id: str
    asset: str
    side: Side
    price: Amount
    quantity: Amount
    order_type: OrderType
    time_in_force: TimeInForce
    client_order_id: str | None


class OrderDecided(Content):
    timestamp: Time = field(name="occurredAt")
    originator_id: UUID = field(name="orderId")
    originator_version: Ordinal = field(name="orderVersion")
    user_id: str
    asset: str
    status: OrderStatus
    book_version: Ordinal


class OrderOpened(OrderDecided):
    pass


class OrderFilled(OrderDecided):
    fills: list[OrderTrade]


class OrderExpired(OrderDecided):
    fills: list[OrderTrade]
    reason: CancelReason
    reason_text: str


class OrderRejected(OrderDecided):
    reason: RejectReason
    reason_text: str


class OrderCancelled(OrderDecided):
    request_id: UUID
    reason: CancelReason
    reason_text: str


class OrderReplaced(OrderDecided):
    request_id: UUID
    price: Amount
    quantity: Amount
    fills: list[OrderTrade]


class OrderRequestRefused(OrderDecided):
    request_id: UUID
    reason: RejectReason
    reason_text: str


class RequestCancel(Content):
    timestamp: Time = field(name="occurredAt")
    originator_id: UUID = field(name="requestId")
    order_id: UUID
    user_id: str
    asset: str


class RequestReplace(RequestCancel):
    price: OptionalAmount
    quantity: OptionalAmount


# The log of Matching.


class BookOpened(Content):
    timestamp: Time = field(name="occurredAt")
    asset: str
    originator_version: Literal[0] = field(name="bookVersion")


class BookDecided(Content):
    timestamp: Time = field(name="occurredAt")
    asset: str
    originator_version: Ordinal = field(name="bookVersion")
    position: Ordinal = field(name="commandPosition")
    order_id: UUID
    user_id: str


class BookMatched(BookDecided):
    side: Side
    price: Amount
    quantity: Amount
    fills: list[BookTrade] = field(name="trades")
    rested: Amount
    reason: CancelReason | None
    reason_text: str | None


class BookCancelled(BookDecided):
    request_id: UUID
    side: Side
    price: Amount
    remaining: Amount
    reason: CancelReason
    reason_text: str


class BookReduced(BookDecided):
    request_id: UUID
    side: Side
    price: Amount
    quantity: Amount
    remaining: Amount
    previous_remaining: Amount


class BookReplaced(BookDecided):
    request_id: UUID
    side: Side
    price: Amount
    quantity: Amount
    previous_price: Amount
    previous_remaining: Amount
    fills: list[BookTrade] = field(name="trades")
    rested: Amount


class BookRefused(BookDecided):
    request_id: UUID | None
    reason: RejectReason
    reason_text: str


# What others publish of decisions that traded.


class Trade(Content):
    trade_id: Ordinal
    price: Amount
    quantity: Amount
    maker_order_id: UUID


class TradesExecuted(Content):
    asset: str
    taker_order_id: UUID
    taker_side: Side
    executed_at: Time
    trades: list[Trade]
