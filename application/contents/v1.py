"""First versions, which are still on topics: what they had not yet, and what was otherwise."""

from typing import Any, cast
from uuid import UUID

import msgspec
from msgspec import field

from application.contents.matching import (
    BookCancelled,
    BookInstrumentChanged,
    BookMatched,
    BookReduced,
    BookRefused,
    BookReplaced,
    VenueDefaultChanged,
)
from application.contents.orders import (
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderPlaced,
    OrderRejected,
    OrderReplaced,
    OrderRequestRefused,
    RequestInstrument,
    RequestReplace,
)
from application.contents.parts import Amount, BookTradeV1, Content, InstrumentV1


def _first(content: type[Content], *lacks: str, **otherwise: Any) -> type[Content]:
    fields = [
        (each.name, otherwise.get(each.name, each.type), field(name=each.encode_name))
        for each in msgspec.structs.fields(content)
        if each.name not in lacks
    ]
    name = f"{content.__name__}V1"
    return cast("type[Content]", msgspec.defstruct(name, fields, bases=(Content,), module=__name__))


_ARRIVAL = ("expired", "prevented", "shown", "lowered", "waits", "conditions", "triggered")

OrderPlacedV1 = _first(
    OrderPlaced,
    "post_only",
    "stop_price",
    "take_profit",
    "display_quantity",
    "expires_at",
    "self_trade_prevention",
    "quote_quantity",
    price=Amount,
    quantity=Amount,
)
OrderFilledV1 = _first(OrderFilled, "quantity")
OrderExpiredV1 = _first(OrderExpired, "quantity", "request_id")
OrderRejectedV1 = _first(OrderRejected, "limit")
OrderCancelledV1 = _first(OrderCancelled, "fills", "quantity", request_id=UUID)
OrderReplacedV1 = _first(
    OrderReplaced,
    "stop_price",
    "display_quantity",
    "reason",
    "reason_text",
    price=Amount,
)
OrderRequestRefusedV1 = _first(OrderRequestRefused, "limit")
RequestReplaceV1 = _first(RequestReplace, "stop_price", "display_quantity")
BookMatchedV1 = _first(
    BookMatched, *_ARRIVAL, price=Amount, quantity=Amount, fills=list[BookTradeV1]
)
BookCancelledV1 = _first(BookCancelled, "expired", "shown", price=Amount)
BookReducedV1 = _first(
    BookReduced, "expired", "shown", "previous_shown", "conditions", price=Amount
)
BookReplacedV1 = _first(
    BookReplaced,
    *_ARRIVAL,
    "previous_shown",
    "reason",
    "reason_text",
    price=Amount,
    previous_price=Amount,
    fills=list[BookTradeV1],
)
BookRefusedV1 = _first(BookRefused, "expired", "limit", order_id=UUID)
RequestInstrumentV1 = _first(RequestInstrument, instrument=InstrumentV1)
BookInstrumentChangedV1 = _first(BookInstrumentChanged, instrument=InstrumentV1 | None)
VenueDefaultChangedV1 = _first(VenueDefaultChanged, instrument=InstrumentV1)
