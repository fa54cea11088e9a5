"""Contents of the messages of the log of Orders: of orders, and of requests."""

from uuid import UUID

from msgspec import field

from application.contents.parts import (
    Amount,
    Content,
    Instrument,
    Limits,
    OptionalAmount,
    OrderTrade,
    Ordinal,
    Time,
)
from domain.errors import CancelReason, RejectReason
from domain.values import OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce


class OrderPlaced(Content):
    timestamp: Time = field(name="occurredAt")
    originator_id: UUID = field(name="orderId")
    user_id: str
    asset: str
    side: Side
    price: OptionalAmount
    quantity: OptionalAmount
    order_type: OrderType
    time_in_force: TimeInForce
    client_order_id: str | None
    post_only: bool
    stop_price: OptionalAmount
    take_profit: bool
    display_quantity: OptionalAmount
    expires_at: Time | None
    self_trade_prevention: SelfTradePrevention
    quote_quantity: OptionalAmount


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


class OrderTraded(OrderDecided):
    fills: list[OrderTrade]
    quantity: OptionalAmount


class OrderFilled(OrderTraded):
    pass


class OrderDecremented(OrderTraded):
    pass


class OrderTriggered(OrderTraded):
    reason: CancelReason | None
    rejection: RejectReason | None
    limit: OptionalAmount
    reason_text: str | None


class OrderExpired(OrderTraded):
    request_id: UUID | None
    reason: CancelReason
    reason_text: str


class OrderCancelled(OrderTraded):
    request_id: UUID | None
    reason: CancelReason
    reason_text: str


class OrderRejected(OrderDecided):
    reason: RejectReason
    limit: OptionalAmount
    reason_text: str


class OrderReplaced(OrderDecided):
    request_id: UUID
    price: OptionalAmount
    quantity: Amount
    stop_price: OptionalAmount
    display_quantity: OptionalAmount
    fills: list[OrderTrade]
    reason: CancelReason | None
    reason_text: str | None


class OrderRequestRefused(OrderDecided):
    request_id: UUID
    reason: RejectReason
    limit: OptionalAmount
    reason_text: str


class Request(Content):
    timestamp: Time = field(name="occurredAt")
    originator_id: UUID = field(name="requestId")
    user_id: str
    asset: str


class RequestCancel(Content):
    timestamp: Time = field(name="occurredAt")
    originator_id: UUID = field(name="requestId")
    order_id: UUID
    user_id: str
    asset: str


class RequestReplace(RequestCancel):
    price: OptionalAmount
    quantity: OptionalAmount
    stop_price: OptionalAmount
    display_quantity: OptionalAmount


class RequestMassCancel(Request):
    pass


class RequestExpiry(Request):
    pass


class RequestInstrument(Request):
    instrument: Instrument


class RequestTime(Request):
    pass


class RequestUser(Request):
    is_suspended: bool = field(name="suspended")


class RequestContinue(Request):
    pass


class RequestLimits(Request):
    limits: Limits
