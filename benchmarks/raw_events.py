"""The states of the events that the engine stores, as plain structures: the same fields."""

from datetime import datetime

import msgspec


class State(msgspec.Struct, gc=False):
    """What all have."""

    timestamp: datetime


class Placed(State):
    user_id: str
    asset: str
    side: str
    price: int
    quantity: int
    originator_topic: str = "order"
    order_type: str = "LIMIT"
    time_in_force: str = "GTC"
    client_order_id: str | None = None


class Opened(State):
    user_id: str
    asset: str
    book_version: int
    status: str


class OrderFill(msgspec.Struct, gc=False):
    trade_id: int
    price: int
    quantity: int
    liquidity: str


class Filled(State):
    user_id: str
    asset: str
    book_version: int
    status: str
    fills: list[OrderFill]


class BookOpened(State):
    asset: str
    originator_topic: str = "book"


class Fill(msgspec.Struct, gc=False):
    trade_id: int
    maker_order_id: str
    maker_user_id: str
    price: int
    quantity: int
    maker_remaining: int


class Matched(State):
    asset: str
    position: int
    order_id: str
    user_id: str
    side: str
    price: int
    quantity: int
    fills: list[Fill]
    rested: int
    reason: str | None = None
