"""Parts of contents: amounts and times, and the objects inside others."""

from datetime import datetime
from typing import Annotated, NewType, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, field

from domain.errors import CancelReason, RejectReason
from domain.instrument import TradingStatus
from domain.values import (
    Liquidity,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    Turn,
)

Amount: TypeAlias = msgspec.Raw  # the JSON number: see messages.amount and reading.units
OptionalAmount = NewType("OptionalAmount", Amount)  # or null, which msgspec gives as it is
Time: TypeAlias = Annotated[datetime, Meta(tz=True)]
TimeOfDay = NewType("TimeOfDay", str)  # "HH:MM", UTC
Ordinal: TypeAlias = Annotated[int, Meta(ge=1)]  # counted from 1
Count: TypeAlias = Annotated[int, Meta(ge=1)]
Number: TypeAlias = Annotated[int, Meta(ge=0)]


class Content(Struct, rename="camel", forbid_unknown_fields=True):
    """One JSON object. A version of a type never changes, not even by a field."""


# The objects inside others have their fields in the order of the model's class of that name.


class OrderTrade(Content):
    """An order's part in one trade."""

    trade_id: Ordinal
    price: Amount
    quantity: Amount
    liquidity: Liquidity


class BookTradeV1(Content):
    trade_id: Ordinal
    maker_order_id: UUID
    maker_user_id: str
    price: Amount
    quantity: Amount
    maker_remaining: Amount


class BookTrade(BookTradeV1):
    """One trade of an order that arrived, its taker."""

    refill: Amount


class Prevented(Content):
    """A trade that self-trade prevention kept from happening."""

    order_id: UUID
    price: Amount
    quantity: Amount
    remaining: Amount
    shown: Amount
    previous_shown: Amount
    is_cancelled: bool = field(name="cancelled")


class Departure(Content):
    """An order that left without trading."""

    order_id: UUID
    user_id: str
    side: Side
    price: OptionalAmount
    remaining: Amount
    shown: Amount
    reason: CancelReason


class Left(Departure):
    """An order that left in an earlier event; who asked for that."""

    request_id: UUID | None


class Queued(Content):
    """The rest of an order that waits for its next turn, in a later event."""

    remaining: Amount
    turn: Turn
    limit: OptionalAmount
    quote_quantity: OptionalAmount


class ExecutionV1(Content):
    """The result of a stop when its trigger came."""

    order_id: UUID
    user_id: str
    side: Side
    price: OptionalAmount
    quantity: Amount
    fills: list[BookTrade] = field(name="trades")
    prevented: list[Prevented]
    rested: Amount
    shown: Amount
    lowered: Amount
    reason: CancelReason | None
    rejection: RejectReason | None
    limit: OptionalAmount
    reason_text: str | None


class Execution(ExecutionV1):
    """The result of an order when its turn came."""

    turn: Turn
    queued: Queued | None


class Conditions(Content):
    """The conditions of an order in a book, beyond price and quantity."""

    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    self_trade_prevention: SelfTradePrevention
    display_quantity: OptionalAmount
    expires_at: Time | None
    stop_price: OptionalAmount
    take_profit: bool


class Limits(Content):
    """The bounds of a user, or an asset, in a book, and of one event of it."""

    max_open_orders: Count | None
    max_user_stops: Count | None = field(name="maxOpenStopsPerUser")
    max_stops: Count | None = field(name="maxOpenStops")
    max_slices: Count | None
    max_parts: Count | None = field(name="maxEventParts")


class InstrumentV1(Content):
    """The rules of an asset."""

    tick_size: Amount
    lot_size: Amount
    min_quantity: OptionalAmount
    max_quantity: OptionalAmount
    min_notional: OptionalAmount
    min_price: OptionalAmount
    max_price: OptionalAmount
    band_percent: OptionalAmount
    session_end: TimeOfDay
    status: TradingStatus


class Instrument(InstrumentV1):
    """The rules of an asset, with its limits."""

    limits: Limits
