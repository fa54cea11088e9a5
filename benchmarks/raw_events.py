"""The states of the events that the engine stores, as plain structures: the same fields.

Fields with a default always have it for limit orders without conditions.
"""

from datetime import datetime

import msgspec


class State(msgspec.Struct, gc=False):
    """The fields that all events share."""

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
    post_only: bool = False
    stop_price: None = None
    take_profit: bool = False
    display_quantity: None = None
    expires_at: None = None
    self_trade_prevention: str = "NONE"
    quote_quantity: None = None
    class_version: int = 2


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
    quantity: None = None
    class_version: int = 2


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
    refill: int = 0


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
    shown: int
    expired: tuple[()] = ()
    prevented: tuple[()] = ()
    lowered: int = 0
    waits: bool = False
    conditions: None = None
    reason: None = None
    triggered: tuple[()] = ()
    leaving: int = 0
    continues: bool = False
    queued: None = None
    unfinished: bool = False
    class_version: int = 3
