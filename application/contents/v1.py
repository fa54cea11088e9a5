"""Earlier versions, which are still on topics: what they had not yet, and what was otherwise."""

from typing import Any, cast
from uuid import UUID

import msgspec
from msgspec import field

from application.contents.matching import (
    BookCancelled,
    BookExpired,
    BookInstrumentChanged,
    BookMassCancelled,
    BookMatched,
    BookReduced,
    BookRefused,
    BookReplaced,
    BookTimeReset,
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
from application.contents.parts import Amount, BookTradeV1, Content, ExecutionV1, InstrumentV1


def _first(content: type[Content], *lacks: str, **otherwise: Any) -> type[Content]:
    return _earlier(1, content, *lacks, **otherwise)


def _earlier(version: int, content: type[Content], *lacks: str, **otherwise: Any) -> type[Content]:
    fields = [
        (each.name, otherwise.get(each.name, each.type), field(name=each.encode_name))
        for each in msgspec.structs.fields(content)
        if each.name not in lacks
    ]
    name = f"{content.__name__}V{version}"
    return cast("type[Content]", msgspec.defstruct(name, fields, bases=(Content,), module=__name__))


_LEFT = ("leaving", "continues")  # no event left anything for later ones
_LEFT_OF_ARRIVAL = (*_LEFT, "queued", "unfinished")
_ARRIVAL = (
    *_LEFT_OF_ARRIVAL,
    "expired",
    "prevented",
    "shown",
    "lowered",
    "waits",
    "conditions",
    "triggered",
)

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
BookCancelledV1 = _first(BookCancelled, *_LEFT, "expired", "shown", price=Amount)
BookReducedV1 = _first(
    BookReduced, *_LEFT, "expired", "shown", "previous_shown", "conditions", price=Amount
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
BookRefusedV1 = _first(BookRefused, *_LEFT, "expired", "limit", order_id=UUID)
RequestInstrumentV1 = _first(RequestInstrument, instrument=InstrumentV1)
BookInstrumentChangedV1 = _first(BookInstrumentChanged, *_LEFT, instrument=InstrumentV1 | None)
VenueDefaultChangedV1 = _first(VenueDefaultChanged, instrument=InstrumentV1)
BookMassCancelledV1 = _first(BookMassCancelled, *_LEFT, "reason")
BookExpiredV1 = _first(BookExpired, *_LEFT)
BookTimeResetV1 = _first(BookTimeReset, *_LEFT)

BookMatchedV2 = _earlier(2, BookMatched, *_LEFT_OF_ARRIVAL, triggered=list[ExecutionV1])
BookReplacedV2 = _earlier(2, BookReplaced, *_LEFT_OF_ARRIVAL, triggered=list[ExecutionV1])
BookCancelledV2 = _earlier(2, BookCancelled, *_LEFT)
BookReducedV2 = _earlier(2, BookReduced, *_LEFT)
BookRefusedV2 = _earlier(2, BookRefused, *_LEFT)
BookInstrumentChangedV2 = _earlier(2, BookInstrumentChanged, *_LEFT)
