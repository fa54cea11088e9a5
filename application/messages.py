"""The public form of every event: what an audit trail shows, and what is published.

Amounts are exact, times have their zone. What a message holds is in ``contents.py``; the way
back is ``reading.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, get_type_hints
from uuid import UUID

import msgspec

from application import contents
from application.contents import Amount, BookTrade, Content, OptionalAmount, OrderTrade
from domain.errors import Reason
from domain.order import Order, OrderFill
from domain.order_book import Fill, OrderBook
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import format_units

Message = dict[str, Any]


class Form(NamedTuple):
    """An event's public name, and what its message holds."""

    name: str
    content: type[Content]


FORMS: Final[Mapping[type, Form]] = {
    Order.Created: Form("order.placed", contents.OrderPlaced),
    Order.Opened: Form("order.opened", contents.OrderOpened),
    Order.Filled: Form("order.filled", contents.OrderFilled),
    Order.Expired: Form("order.expired", contents.OrderExpired),
    Order.Rejected: Form("order.rejected", contents.OrderRejected),
    Order.Cancelled: Form("order.cancelled", contents.OrderCancelled),
    Order.Replaced: Form("order.replaced", contents.OrderReplaced),
    Order.RequestRefused: Form("order.request_refused", contents.OrderRequestRefused),
    CancelRequest.Created: Form("request.cancel", contents.RequestCancel),
    ReplaceRequest.Created: Form("request.replace", contents.RequestReplace),
    OrderBook.Created: Form("book.opened", contents.BookOpened),
    OrderBook.Matched: Form("book.matched", contents.BookMatched),
    OrderBook.Cancelled: Form("book.cancelled", contents.BookCancelled),
    OrderBook.Reduced: Form("book.reduced", contents.BookReduced),
    OrderBook.Replaced: Form("book.replaced", contents.BookReplaced),
    OrderBook.Refused: Form("book.refused", contents.BookRefused),
}

# The public names, and what the stored topics are called today. Who listens knows these:
# they stay, whatever becomes of the topics.
TYPES: Final[Mapping[type, str]] = {event: form.name for event, form in FORMS.items()}


@lru_cache(maxsize=50_000)  # an order's price and quantity are in most of what happens to it
def amount(units: int) -> Amount:
    """An amount as the JSON number that says exactly what it is: 45000, 0.1, 0.00000001."""
    return Amount(format_units(units))


def content(event: Any) -> Content:
    """What the message of an event holds."""
    return _MAKERS[type(event)](event)


def message(event: Any) -> Message:
    """An event as an audit trail shows it, which numbers its events itself."""
    shown = msgspec.to_builtins(content(event), builtin_types=(datetime, UUID, Amount))
    shown.pop("orderVersion", None)
    return {"type": TYPES[type(event)], **shown}


def _maker(holds: type[Content]) -> Callable[[Any], Content]:
    """Makes contents of events; all but the conversions is done without a loop in Python."""
    names = holds.__struct_fields__
    hints = get_type_hints(holds)
    facts = itemgetter(*["reason" if name == "reason_text" else name for name in names])
    conversions = [
        (place, conversion)
        for place, name in enumerate(names)
        if (conversion := _sentence if name == "reason_text" else _CONVERSIONS.get(hints[name]))
    ]

    def make(event: Any) -> Content:
        values = list(facts(vars(event)))
        for place, conversion in conversions:
            values[place] = conversion(values[place])
        return holds(*values)

    return make


def _optional_amount(units: int | None) -> Amount | None:
    return None if units is None else amount(units)


def _order_trades(fills: Sequence[OrderFill]) -> list[OrderTrade]:
    return [
        OrderTrade(fill.trade_id, amount(fill.price), amount(fill.quantity), fill.liquidity)
        for fill in fills
    ]


def _book_trades(fills: Sequence[Fill]) -> list[BookTrade]:
    return [
        BookTrade(
            fill.trade_id,
            fill.maker_order_id,
            fill.maker_user_id,
            amount(fill.price),
            amount(fill.quantity),
            amount(fill.maker_remaining),
        )
        for fill in fills
    ]


def _sentence(reason: Reason | None) -> str | None:
    return reason and reason.sentence


_CONVERSIONS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    Amount: amount,
    OptionalAmount: _optional_amount,
    list[OrderTrade]: _order_trades,
    list[BookTrade]: _book_trades,
}

_MAKERS: Final = {event: _maker(form.content) for event, form in FORMS.items()}
