"""The publications of each log: topics, keys, and messages. Sending them is not here.

An asset's messages have the asset as their key, so that a transport that keeps the order of
a key keeps the order of an asset. Requests about all assets have no key: they must be read in
their place, whichever assets are read.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from application.contents.matching import Trade, TradesExecuted
from application.messages import FORMS, amount, content
from domain.outcomes import arrivals
from domain.values import ALL_ASSETS

ORDERS_TOPIC: Final = "orders.events"
BOOKS_TOPIC: Final = "book.events"
TRADES_TOPIC: Final = "trades"

_encode = msgspec.json.Encoder().encode


class Publication(NamedTuple):
    """A message: the topic without the installation's prefix, and the type without its own.

    ``id`` is one that no other message has, of all that are made of the log. ``key`` is the
    asset; None: it is about all of them. ``value`` is JSON.
    """

    id: str
    topic: str
    key: str | None
    type: str
    time: datetime
    value: bytes


class Feed(NamedTuple):
    """The publications of one log: ``publications`` of an event and its position, in order."""

    topics: tuple[str, ...]
    publications: Callable[[int, Any], Sequence[Publication]]


_TYPES: Final[Mapping[type, str]] = {event: form.types[-1] for event, form in FORMS.items()}
_TRADES_EXECUTED: Final = "trades.executed.v2"  # v1 had one taker


def of_orders(position: int, event: Any) -> Sequence[Publication]:
    """The event itself."""
    key = None if event.asset == ALL_ASSETS else event.asset
    return (_event(ORDERS_TOPIC, key, position, event),)


def of_matching(position: int, event: Any) -> Sequence[Publication]:
    """The event itself, and the trades of a decision that has some."""
    published = _event(BOOKS_TOPIC, event.asset, position, event)
    trades = [
        Trade(
            fill.trade_id,
            amount(fill.price),
            amount(fill.quantity),
            fill.maker_order_id,
            arrival.order_id,
            arrival.side,
        )
        for arrival in arrivals(event)
        for fill in arrival.fills
    ]
    return (published, _trades(position, event, trades)) if trades else (published,)


def _event(topic: str, key: str | None, position: int, event: Any) -> Publication:
    return Publication(
        str(position),
        topic,
        key,
        _TYPES[type(event)],
        event.timestamp,
        _encode(content(event)),
    )


def _trades(position: int, event: Any, trades: list[Trade]) -> Publication:
    return Publication(
        f"{position}-trades",
        TRADES_TOPIC,
        event.asset,
        _TRADES_EXECUTED,
        event.timestamp,
        _encode(TradesExecuted(event.asset, event.timestamp, trades)),
    )


# By the name of the application whose log it is.
FEEDS: Final[Mapping[str, Feed]] = {
    "Orders": Feed((ORDERS_TOPIC,), of_orders),
    "Matching": Feed((BOOKS_TOPIC, TRADES_TOPIC), of_matching),
}
