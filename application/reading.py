"""Messages to domain events: the inverse of ``messages.py`` and ``publishing.py``.

An event comes back as it was stored. A fact that its message lacks is the same in
every event of its type, or follows from the others.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Final, get_origin, get_type_hints

import msgspec

from application.contents import parts
from application.contents.parts import Amount, Content, OptionalAmount
from application.messages import FORMS, part_of
from application.persistence.mapper import upcast
from domain.aggregate import Aggregate, build
from domain.facts import Departure, Execution, Fill, Left, Prevented, Queued
from domain.instrument import Instrument, Limits
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
from domain.values import (
    DECIMALS,
    MAX_AMOUNT,
    UNITS_PER_ONE,
    Conditions,
    book_id,
    venue_id,
)
from domain.venue import Venue


class NotAMessage(ValueError):
    """A message is none of those that we publish; the text says why."""


def event_of(message_type: str, value: bytes) -> Any:
    """The event whose message has this type ("order.placed.v2") and this JSON value.

    Raises NotAMessage, also for what is published beside the events, such as trades.
    """
    read = _READERS.get(message_type)
    if read is None:
        raise NotAMessage(f"{message_type} is not the type of an event")
    try:
        return read(value)
    except (ValueError, RecursionError) as error:
        raise NotAMessage(f"{message_type} can't be read: {error}") from error


def types_beside(topics: Collection[str]) -> frozenset[str]:
    """The types of messages of events that have none of these topics; no topics: none."""
    return frozenset(
        message_type
        for event, form in FORMS.items()
        for message_type in form.types
        if topics and event.TOPIC not in topics  # type: ignore[attr-defined]
    )


def units(number: Amount) -> int:
    """The units of an amount, given as the JSON that was in its place. Raises ValueError."""
    return _units(bytes(number))


@lru_cache(maxsize=50_000)  # as messages.amount
def _units(number: bytes) -> int:
    whole, _, part = number.partition(b".")
    digits = whole + part
    if digits.isdigit() and len(part) <= DECIMALS and len(whole) <= _MOST_DIGITS:
        found = int(digits) * _SCALES[len(part)]
        if found <= _MOST:
            return found
    raise ValueError(f"{number[:40]!r} is not an amount")


_MOST: Final = MAX_AMOUNT * UNITS_PER_ONE
_MOST_DIGITS: Final = len(str(MAX_AMOUNT))
_SCALES: Final[list[int]] = [10 ** (DECIMALS - decimals) for decimals in range(DECIMALS + 1)]


def _reader(event: Any, holds: type[Content], behind: int) -> Callable[[bytes], Any]:
    """Return a reader of one version of a type; ``behind``: the number of versions since."""
    decode = msgspec.json.Decoder(holds).decode
    conversions = _conversions(holds)
    complete = _completion(event)
    version = getattr(event, "class_version", 1) - behind

    def read(value: bytes) -> Any:
        facts = msgspec.structs.asdict(decode(value))
        facts.pop("reason_text", None)
        for name, conversion in conversions:
            facts[name] = conversion(facts[name])
        complete(facts)
        return build(event, facts)

    def read_older(value: bytes) -> Any:
        facts = vars(read(value))
        upcast(event, facts, version)
        # Upcasts know lists alone, as events are stored.
        listed = {name: tuple(fact) for name, fact in facts.items() if isinstance(fact, list)}
        return build(event, facts | listed)

    return read_older if behind else read


def _completion(event: type) -> Callable[[dict[str, Any]], None]:
    """Return a function that adds the facts of an event that its message does not carry."""
    always: dict[str, Any] = {}
    if issubclass(event, Aggregate.Created):
        aggregate = _AGGREGATES[event]
        always = {
            "originator_topic": aggregate.TOPIC,
            "originator_version": aggregate.INITIAL_VERSION,
        }
    if issubclass(event, Venue.Event | Venue.Created):
        always["originator_id"] = venue_id()
    is_of_book = issubclass(event, OrderBook.Event | OrderBook.Created)

    def complete(facts: dict[str, Any]) -> None:
        facts.update(always)
        if is_of_book:
            facts["originator_id"] = _book_id(facts["asset"])

    return complete


_AGGREGATES: Final[Mapping[type, Any]] = {
    aggregate.Created: aggregate
    for aggregate in (
        Order,
        CancelRequest,
        ReplaceRequest,
        MassCancelRequest,
        ExpiryRequest,
        InstrumentRequest,
        TimeRequest,
        UserRequest,
        LimitsRequest,
        ContinuationRequest,
        OrderBook,
        Venue,
    )
}

_book_id = lru_cache(maxsize=10_000)(book_id)  # a digest: as long as all the rest


@cache
def _part_maker(part: type[Content]) -> Callable[[Content], Any]:
    """Return a function that makes an event's part of a message's; the fields have one order."""
    names = [name for name in part.__struct_fields__ if name != "reason_text"]
    values_of = attrgetter(*names)
    conversions = [(names.index(name), conversion) for name, conversion in _conversions(part)]
    made = _PARTS[part]

    def make(told: Content) -> Any:
        values = list(values_of(told))
        for place, conversion in conversions:
            values[place] = conversion(values[place])
        return made(*values)

    return make


_PARTS: Final[Mapping[type[Content], Any]] = {
    parts.BookTradeV1: Fill,
    parts.Prevented: Prevented,
    parts.Departure: Departure,
    parts.Left: Left,
    parts.Queued: Queued,
    parts.ExecutionV1: Execution,
    parts.Execution: Execution,
    parts.Conditions: Conditions,
    parts.Instrument: Instrument,
    parts.InstrumentV1: Instrument,
    parts.Limits: Limits,
}


def _conversions(holds: type[Content]) -> list[tuple[str, Callable[[Any], Any]]]:
    """The fields of a content that are something else in an event, and how they become it."""
    return [
        (name, conversion)
        for name, hint in get_type_hints(holds).items()
        if (conversion := _conversion(hint))
    ]


def _conversion(hint: Any) -> Callable[[Any], Any] | None:
    part = part_of(hint)
    if part is None or hint in _CONVERSIONS:
        return _CONVERSIONS.get(hint)
    make = _part_maker(part)
    if get_origin(hint) is list:
        return lambda told: tuple([make(each) for each in told])
    return lambda told: None if told is None else make(told)


# Most messages have fills, and this takes half the time: see messages.py.


def _order_fills(trades: Sequence[parts.OrderTrade]) -> tuple[OrderFill, ...]:
    return tuple(
        [
            OrderFill(trade.trade_id, units(trade.price), units(trade.quantity), trade.liquidity)
            for trade in trades
        ]
    )


def _book_fills(trades: Sequence[parts.BookTrade]) -> tuple[Fill, ...]:
    return tuple(
        [
            Fill(
                trade.trade_id,
                trade.maker_order_id,
                trade.maker_user_id,
                units(trade.price),
                units(trade.quantity),
                units(trade.maker_remaining),
                units(trade.refill),
            )
            for trade in trades
        ]
    )


def _optional_units(number: Amount) -> int | None:
    return None if bytes(number) == b"null" else units(number)


def _minutes(time: str) -> int:
    if _TIME_OF_DAY.fullmatch(time) is None:
        raise ValueError(f"{time!r} is not a time of day")
    hours, minutes = time.split(":")
    return 60 * int(hours) + int(minutes)


_TIME_OF_DAY: Final = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")

_CONVERSIONS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    Amount: units,
    OptionalAmount: _optional_units,
    parts.TimeOfDay: _minutes,
    list[parts.OrderTrade]: _order_fills,
    list[parts.BookTrade]: _book_fills,
}

_READERS: Final = {
    message_type: _reader(event, holds, behind=len(form.versions) - version)
    for event, form in FORMS.items()
    for version, (message_type, holds) in enumerate(
        zip(form.types, form.versions, strict=True), start=1
    )
}
