"""What is published of which log: topics, keys, and messages. How they get there is not here.

An asset's messages have the asset as their key, so that a transport that keeps the order of
a key keeps the order of an asset.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from application.contents import Trade, TradesExecuted
from application.messages import TYPES, amount, content
from domain.order_book import OrderBook

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
    """What is published of one log: ``publications`` of an event and its position, in order."""

    topics: tuple[str, ...]
    publications: Callable[[int, Any], Sequence[Publication]]


def versioned(name: str) -> str:
    """The type of a message whose public name this is."""
    return f"{name}.v1"


_TYPES: Final[Mapping[type, str]] = {event: versioned(name) for event, name in TYPES.items()}
_TRADES_EXECUTED: Final = versioned("trades.executed")


def of_orders(position: int, event: Any) -> Sequence[Publication]:
    """The event itself."""
    return (_event(ORDERS_TOPIC, position, event),)


def of_matching(position: int, event: Any) -> Sequence[Publication]:
    """The event itself, and the trades of a decision that has some."""
    if getattr(event, "fills", ()):
        return (_event(BOOKS_TOPIC, position, event), _trades(position, event))
    return (_event(BOOKS_TOPIC, position, event),)


def _event(topic: str, position: int, event: Any) -> Publication:
    return Publication(
        str(position),
        topic,
        event.asset,
        _TYPES[type(event)],
        event.timestamp,
        _encode(content(event)),
    )


def _trades(position: int, event: OrderBook.Matched | OrderBook.Replaced) -> Publication:
    trades = [
        Trade(fill.trade_id, amount(fill.price), amount(fill.quantity), fill.maker_order_id)
        for fill in event.fills
    ]
    executed = TradesExecuted(event.asset, event.order_id, event.side, event.timestamp, trades)
    return Publication(
        f"{position}-trades",
        TRADES_TOPIC,
        event.asset,
        _TRADES_EXECUTED,
        event.timestamp,
        _encode(executed),
    )


# By the name of the application whose log it is.
FEEDS: Final[Mapping[str, Feed]] = {
    "Orders": Feed((ORDERS_TOPIC,), of_orders),
    "Matching": Feed((BOOKS_TOPIC, TRADES_TOPIC), of_matching),
}
