"""The public form of every event: what an audit trail shows, and what is published.

Amounts are exact, times have their zone. ``contents/`` defines the fields of each message;
``reading.py`` makes events of messages.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from application.contents import matching, orders, v1
from application.contents.parts import (
    Amount,
    BookTrade,
    Content,
    OptionalAmount,
    OrderTrade,
    TimeOfDay,
)
from domain.errors import Reason
from domain.facts import Fill
from domain.order import Order, OrderFill
from domain.order_book import OrderBook
from domain.requests import (
    CancelRequest,
    ContinuationRequest,
    ExpiryRequest,
    InstrumentRequest,
    LimitsRequest,
    MassCancelRequest,
    ReplaceRequest,
    TimeRequest,
    UserRequest,
)
from domain.values import format_units
from domain.venue import Venue

Message = dict[str, Any]


class Form(NamedTuple):
    """An event's public name, and what its message holds, in each version that there was."""

    name: str
    versions: tuple[type[Content], ...]

    @property
    def content(self) -> type[Content]:
        return self.versions[-1]

    @property
    def types(self) -> tuple[str, ...]:
        """The types of messages, with their versions; the last is what is published."""
        return tuple(f"{self.name}.v{version}" for version, _ in enumerate(self.versions, start=1))


def _form(name: str, *versions: type[Content]) -> Form:
    return Form(name, versions)


FORMS: Final[Mapping[type, Form]] = {
    Order.Created: _form("order.placed", v1.OrderPlacedV1, orders.OrderPlaced),
    Order.Opened: _form("order.opened", orders.OrderOpened),
    Order.Filled: _form("order.filled", v1.OrderFilledV1, orders.OrderFilled),
    Order.Decremented: _form("order.decremented", orders.OrderDecremented),
    Order.Triggered: _form("order.triggered", orders.OrderTriggered),
    Order.Expired: _form("order.expired", v1.OrderExpiredV1, orders.OrderExpired),
    Order.Rejected: _form("order.rejected", v1.OrderRejectedV1, orders.OrderRejected),
    Order.Cancelled: _form("order.cancelled", v1.OrderCancelledV1, orders.OrderCancelled),
    Order.Replaced: _form("order.replaced", v1.OrderReplacedV1, orders.OrderReplaced),
    Order.RequestRefused: _form(
        "order.request_refused", v1.OrderRequestRefusedV1, orders.OrderRequestRefused
    ),
    CancelRequest.Created: _form("request.cancel", orders.RequestCancel),
    ReplaceRequest.Created: _form("request.replace", v1.RequestReplaceV1, orders.RequestReplace),
    MassCancelRequest.Created: _form("request.mass_cancel", orders.RequestMassCancel),
    ExpiryRequest.Created: _form("request.expiry", orders.RequestExpiry),
    InstrumentRequest.Created: _form(
        "request.instrument", v1.RequestInstrumentV1, orders.RequestInstrument
    ),
    UserRequest.Created: _form("request.user", orders.RequestUser),
    TimeRequest.Created: _form("request.time", orders.RequestTime),
    ContinuationRequest.Created: _form("request.continue", orders.RequestContinue),
    LimitsRequest.Created: _form("request.limits", orders.RequestLimits),
    OrderBook.Created: _form("book.opened", matching.BookOpened),
    OrderBook.Matched: _form(
        "book.matched", v1.BookMatchedV1, v1.BookMatchedV2, matching.BookMatched
    ),
    OrderBook.Cancelled: _form(
        "book.cancelled", v1.BookCancelledV1, v1.BookCancelledV2, matching.BookCancelled
    ),
    OrderBook.Reduced: _form(
        "book.reduced", v1.BookReducedV1, v1.BookReducedV2, matching.BookReduced
    ),
    OrderBook.Replaced: _form(
        "book.replaced", v1.BookReplacedV1, v1.BookReplacedV2, matching.BookReplaced
    ),
    OrderBook.Refused: _form(
        "book.refused", v1.BookRefusedV1, v1.BookRefusedV2, matching.BookRefused
    ),
    OrderBook.MassCancelled: _form(
        "book.mass_cancelled", v1.BookMassCancelledV1, matching.BookMassCancelled
    ),
    OrderBook.Expired: _form("book.expired", v1.BookExpiredV1, matching.BookExpired),
    OrderBook.TimeReset: _form("book.time_reset", v1.BookTimeResetV1, matching.BookTimeReset),
    OrderBook.Continued: _form("book.continued", matching.BookContinued),
    OrderBook.InstrumentChanged: _form(
        "book.instrument_changed",
        v1.BookInstrumentChangedV1,
        v1.BookInstrumentChangedV2,
        matching.BookInstrumentChanged,
    ),
    Venue.Created: _form("venue.opened", matching.VenueOpened),
    Venue.DefaultChanged: _form(
        "venue.default_changed", v1.VenueDefaultChangedV1, matching.VenueDefaultChanged
    ),
    Venue.UserChanged: _form("venue.user_changed", matching.VenueUserChanged),
}

# The public names, and what the stored topics are called today. Consumers know these:
# they stay, whatever becomes of the topics.
TYPES: Final[Mapping[type, str]] = {event: form.name for event, form in FORMS.items()}


@lru_cache(maxsize=50_000)  # an order's price and quantity are in most of what happens to it
def amount(units: int) -> Amount:
    """An amount as the JSON number that says exactly what it is: 45000, 0.1, 0.00000001."""
    return Amount(format_units(units))


def sentence(reason: Reason | None, limit: int | None = None) -> str | None:
    """A reason for people; ``limit`` is what the rule allows that it is about, in units."""
    if reason is None or limit is None:
        return reason and reason.sentence
    return reason.sentence.format(limit=format_units(limit))


def content(event: Any) -> Content:
    """Return the content of an event's message."""
    return _MAKERS[type(event)](event)


def message(event: Any) -> Message:
    """An event as an audit trail shows it, which numbers its events itself."""
    shown = msgspec.to_builtins(content(event), builtin_types=(datetime, UUID, Amount))
    shown.pop("orderVersion", None)
    return {"type": TYPES[type(event)], **shown}


@cache
def _maker(holds: type[Content]) -> Callable[[Any], Content]:
    """Return a function that makes contents of facts; only conversions loop in Python."""
    names = holds.__struct_fields__
    hints = get_type_hints(holds)
    # The sentence is no fact: its place is kept by another until it is made.
    values_of = attrgetter(*["reason" if name == "reason_text" else name for name in names])
    conversions = [
        (place, conversion)
        for place, name in enumerate(names)
        if (conversion := _conversion(hints[name]))
    ]
    text_place = names.index("reason_text") if "reason_text" in names else None
    text_of = _text_of(names)

    def make(facts: Any) -> Content:
        values = list(values_of(facts))
        for place, conversion in conversions:
            values[place] = conversion(values[place])
        if text_place is not None:
            values[text_place] = text_of(facts)
        return holds(*values)

    return make


def _text_of(names: tuple[str, ...]) -> Callable[[Any], str | None]:
    """Return a function for the sentence that a content with these fields has for people."""
    if "rejection" in names:
        return lambda facts: sentence(facts.rejection or facts.reason, facts.limit)
    if "limit" in names:
        return lambda facts: sentence(facts.reason, facts.limit)
    return lambda facts: sentence(facts.reason)


def part_of(hint: Any) -> type[Content] | None:
    """The content of which a field holds one, or none, or a list."""
    parts = (each for each in get_args(hint) if isinstance(each, type))
    return next((each for each in (hint, *parts) if _is_content(each)), None)


def _is_content(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Content)


def _conversion(hint: Any) -> Callable[[Any], Any] | None:
    part = part_of(hint)
    if part is None or hint in _CONVERSIONS:
        return _CONVERSIONS.get(hint)
    make = _maker(part)
    if get_origin(hint) is list:
        return lambda facts: [make(each) for each in facts]
    return lambda facts: None if facts is None else make(facts)


# Most messages have fills, and this takes half the time of a function by ``_maker``.


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
            amount(fill.refill),
        )
        for fill in fills
    ]


def _optional_amount(units: int | None) -> Amount | None:
    return None if units is None else amount(units)


def _time_of_day(minutes: int) -> str:
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}"


_CONVERSIONS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    Amount: amount,
    OptionalAmount: _optional_amount,
    TimeOfDay: _time_of_day,
    list[OrderTrade]: _order_trades,
    list[BookTrade]: _book_trades,
}

_MAKERS: Final = {event: _maker(form.content) for event, form in FORMS.items()}
