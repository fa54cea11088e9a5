"""Contents of the messages of Matching's log, and of the trades that are published from it."""

from typing import Literal
from uuid import UUID

from msgspec import field

from application.contents.parts import (
    Amount,
    BookTrade,
    Conditions,
    Content,
    Departure,
    Execution,
    Instrument,
    Left,
    Number,
    OptionalAmount,
    Ordinal,
    Prevented,
    Queued,
    Time,
)
from domain.errors import CancelReason, RejectReason
from domain.values import Side


class BookOpened(Content):
    timestamp: Time = field(name="occurredAt")
    asset: str
    originator_version: Literal[0] = field(name="bookVersion")


class BookDecided(Content):
    timestamp: Time = field(name="occurredAt")
    asset: str
    originator_version: Ordinal = field(name="bookVersion")
    position: Ordinal = field(name="commandPosition")
    expired: list[Departure]
    leaving: Number
    continues: bool
    user_id: str


class BookMatched(BookDecided):
    order_id: UUID
    side: Side
    price: OptionalAmount
    quantity: OptionalAmount
    fills: list[BookTrade] = field(name="trades")
    prevented: list[Prevented]
    rested: Amount
    shown: Amount
    lowered: Amount
    waits: bool
    conditions: Conditions | None
    reason: CancelReason | None
    reason_text: str | None
    triggered: list[Execution]
    queued: Queued | None
    unfinished: bool


class BookCancelled(BookDecided):
    order_id: UUID
    request_id: UUID
    side: Side
    price: OptionalAmount
    remaining: Amount
    shown: Amount
    reason: CancelReason
    reason_text: str


class BookReduced(BookDecided):
    order_id: UUID
    request_id: UUID
    side: Side
    price: OptionalAmount
    quantity: Amount
    remaining: Amount
    shown: Amount
    previous_remaining: Amount
    previous_shown: Amount
    conditions: Conditions | None


class BookReplaced(BookDecided):
    order_id: UUID
    request_id: UUID
    side: Side
    price: OptionalAmount
    quantity: Amount
    previous_price: OptionalAmount
    previous_remaining: Amount
    previous_shown: Amount
    fills: list[BookTrade] = field(name="trades")
    prevented: list[Prevented]
    rested: Amount
    shown: Amount
    lowered: Amount
    waits: bool
    conditions: Conditions | None
    reason: CancelReason | None
    reason_text: str | None
    triggered: list[Execution]
    queued: Queued | None
    unfinished: bool


class BookRefused(BookDecided):
    order_id: UUID | None
    request_id: UUID | None
    reason: RejectReason
    limit: OptionalAmount
    reason_text: str


class BookMassCancelled(BookDecided):
    request_id: UUID
    departed: list[Departure]
    reason: CancelReason | None


class BookExpired(BookDecided):
    request_id: UUID


class BookTimeReset(BookDecided):
    request_id: UUID


class BookInstrumentChanged(BookDecided):
    request_id: UUID
    instrument: Instrument | None
    departed: list[Departure]


class BookContinued(BookDecided):
    request_id: UUID
    departed: list[Left]
    executed: list[Execution]
    unfinished: bool


class VenueOpened(Content):
    timestamp: Time = field(name="occurredAt")
    asset: str
    originator_version: Literal[0] = field(name="venueVersion")


class VenueChanged(Content):
    timestamp: Time = field(name="occurredAt")
    asset: str
    originator_version: Ordinal = field(name="venueVersion")
    position: Ordinal = field(name="commandPosition")
    user_id: str
    request_id: UUID


class VenueDefaultChanged(VenueChanged):
    instrument: Instrument


class VenueUserChanged(VenueChanged):
    is_suspended: bool = field(name="suspended")


# The trades are published apart from the decisions that made them.


class Trade(Content):
    trade_id: Ordinal
    price: Amount
    quantity: Amount
    maker_order_id: UUID
    taker_order_id: UUID
    taker_side: Side


class TradesExecuted(Content):
    asset: str
    executed_at: Time
    trades: list[Trade]
