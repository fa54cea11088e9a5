"""Messages to domain events: the way back from what ``messages.py`` and ``publishing.py`` say.

An event comes back as it was stored. What a message does not carry is the same in every
event of its type, or follows from what it does carry.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, get_type_hints

import msgspec

from application.contents import Amount, BookTrade, Content, OptionalAmount, OrderTrade
from application.messages import FORMS
from application.publishing import versioned
from domain.aggregate import Aggregate, build
from domain.order import Order, OrderFill
from domain.order_book import Fill, OrderBook
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import DECIMALS, MAX_AMOUNT, UNITS_PER_ONE, book_id


class NotAMessage(ValueError):
    """What came is none of the messages that we publish; the text says why."""


def event_of(message_type: str, value: bytes) -> Any:
    """The event whose message has this type ("order.placed.v1") and this JSON value.

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
        versioned(form.name)
        for event, form in FORMS.items()
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


def _reader(event: type, holds: type[Content]) -> Callable[[bytes], Any]:
    decode = msgspec.json.Decoder(holds).decode
    hints = get_type_hints(holds)
    conversions = [
        (name, conversion)
        for name in holds.__struct_fields__
        if (conversion := _CONVERSIONS.get(hints[name]))
    ]
    complete = _completion(event)

    def read(value: bytes) -> Any:
        facts = msgspec.structs.asdict(decode(value))
        facts.pop("reason_text", None)
        for name, conversion in conversions:
            facts[name] = conversion(facts[name])
        complete(facts)
        return build(event, facts)

    return read


def _completion(event: type) -> Callable[[dict[str, Any]], None]:
    """What adds the facts of an event that its message does not carry."""
    always: dict[str, Any] = {}
    if issubclass(event, Aggregate.Created):
        aggregate = _AGGREGATES[event]
        always = {
            "originator_topic": aggregate.TOPIC,
            "originator_version": aggregate.INITIAL_VERSION,
        }
    is_of_book = issubclass(event, OrderBook.Event | OrderBook.Created)

    def complete(facts: dict[str, Any]) -> None:
        facts.update(always)
        if is_of_book:
            facts["originator_id"] = _book_id(facts["asset"])

    return complete


_AGGREGATES: Final[Mapping[type, Any]] = {
    aggregate.Created: aggregate for aggregate in (Order, CancelRequest, ReplaceRequest, OrderBook)
}

_book_id = lru_cache(maxsize=10_000)(book_id)  # a digest: as long as all the rest


def _optional_units(number: Amount) -> int | None:
    return None if bytes(number) == b"null" else units(number)


def _order_fills(trades: Sequence[OrderTrade]) -> tuple[OrderFill, ...]:
    return tuple(
        [
            OrderFill(trade.trade_id, units(trade.price), units(trade.quantity), trade.liquidity)
            for trade in trades
        ]
    )


def _book_fills(trades: Sequence[BookTrade]) -> tuple[Fill, ...]:
    return tuple(
        [
            Fill(
                trade.trade_id,
                trade.maker_order_id,
                trade.maker_user_id,
                units(trade.price),
                units(trade.quantity),
                units(trade.maker_remaining),
            )
            for trade in trades
        ]
    )


_CONVERSIONS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    Amount: units,
    OptionalAmount: _optional_units,
    list[OrderTrade]: _order_fills,
    list[BookTrade]: _book_fills,
}

_READERS: Final = {
    versioned(form.name): _reader(event, form.content) for event, form in FORMS.items()
}
