"""A consumer as anybody would write it, by docs/messages.md and docs/asyncapi.yaml alone.

It imports nothing of ours, and whoever reads the topic in another way may use it too.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

TYPE_PREFIX = "com.ordermatchingengine."

Order = tuple[str, Decimal, Decimal]  # its id, price, and what it shows


class Sides(NamedTuple):
    """Every resting order, in priority order."""

    bids: list[Order]
    asks: list[Order]


@dataclass
class Resting:
    side: str
    price: Decimal
    shown: Decimal
    remaining: Decimal


@dataclass
class Books:
    """The books of all assets, as of the messages that were taken."""

    books: dict[str, dict[str, Resting]] = field(default_factory=dict)
    past: dict[tuple[str, int], Sides] = field(default_factory=dict)  # by asset and version
    # How many orders have left by then whose departures were yet to come.
    leaving: dict[tuple[str, int], int] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)
    dropped: int = 0
    positions: dict[int, int] = field(default_factory=dict)  # by partition
    waiting: dict[str, set[str]] = field(default_factory=dict)  # stops, by asset

    def take(self, partition: int, headers: Mapping[str, str], value: str) -> None:
        """A message of book.events; those of a partition in their order."""
        mine = self.positions.get(partition, 0)
        position = int(headers["ce_position"])
        if position <= mine:
            self.dropped += 1
            return
        assert int(headers["ce_predecessor"]) <= mine, f"a gap after {mine}"
        self.positions[partition] = position
        assert headers["content-type"] == "application/json"
        assert headers["ce_specversion"] == "1.0"
        assert headers["ce_source"] == "/Matching"
        assert headers["ce_type"].startswith(TYPE_PREFIX)
        name = headers["ce_type"].removeprefix(TYPE_PREFIX)
        self.types.add(name)
        if name.startswith("book."):  # what the venue says is about no book
            self._apply(name, json.loads(value, parse_float=Decimal, parse_int=Decimal))

    def _apply(self, name: str, data: dict[str, Any]) -> None:
        asset, version = data["asset"], int(data["bookVersion"])
        if name == "book.opened.v1":
            assert asset not in self.books
            self.books[asset] = {}
            self.waiting[asset] = set()
            leaving = 0
        else:
            assert (asset, version - 1) in self.past, f"{asset} {version} comes too early"
            leaving = self.leaving[asset, version - 1] + int(data["leaving"])
            if name.startswith("book.continued."):
                leaving -= len(data["departed"])
        _change(self.books[asset], self.waiting[asset], name, data)
        self.past[asset, version] = _sides(self.books[asset])
        self.leaving[asset, version] = leaving


def _change(book: dict[str, Resting], waiting: set[str], name: str, data: dict[str, Any]) -> None:
    for gone in (*data.get("expired", ()), *data.get("departed", ())):
        _leave(book, waiting, gone["orderId"], gone["shown"], gone["remaining"])
    order_id = data.get("orderId") or ""
    kind, _, _ = name.rpartition(".v")
    match kind:
        case "book.cancelled":
            _leave(book, waiting, order_id, data["shown"], data["remaining"])
        case "book.reduced" if order_id in waiting:
            assert (data["shown"], data["previousShown"]) == (0, 0)
        case "book.reduced":
            order = book[order_id]
            assert order.price == data["price"]
            assert order.remaining == data["previousRemaining"]
            assert order.shown == data["previousShown"]
            order.shown, order.remaining = data["shown"], data["remaining"]
        case "book.replaced":
            assert order_id in waiting or book[order_id].price == data["previousPrice"]
            before = data["previousShown"], data["previousRemaining"]
            _leave(book, waiting, order_id, *before)
    if kind in {"book.matched", "book.replaced"}:
        _arrive(book, waiting, data, waits=data["waits"])
    for execution in (*data.get("triggered", ()), *data.get("executed", ())):
        waiting.remove(execution["orderId"])
        _arrive(book, waiting, execution, waits=False)


def _leave(
    book: dict[str, Resting], waiting: set[str], order_id: str, shown: Decimal, remaining: Decimal
) -> None:
    if order_id in waiting:
        assert shown == 0
        waiting.remove(order_id)
    else:
        order = book.pop(order_id)
        assert (order.shown, order.remaining) == (shown, remaining)


def _arrive(
    book: dict[str, Resting], waiting: set[str], data: dict[str, Any], *, waits: bool
) -> None:
    for trade in data["trades"]:
        maker_id = trade["makerOrderId"]
        maker = book[maker_id]
        assert maker.price == trade["price"]
        assert trade["quantity"] <= maker.shown
        maker.shown -= trade["quantity"]
        maker.remaining -= trade["quantity"]
        assert maker.remaining == trade["makerRemaining"]
        if maker.shown == 0:
            del book[maker_id]
            if trade["refill"]:  # it comes again, behind all others at its price
                maker.shown = trade["refill"]
                book[maker_id] = maker
            assert (maker.shown == 0) == (maker.remaining == 0)
    for prevented in data["prevented"]:
        other = book[prevented["orderId"]]
        assert (other.price, other.shown) == (prevented["price"], prevented["previousShown"])
        if prevented["cancelled"]:
            del book[prevented["orderId"]]
        else:
            other.shown, other.remaining = prevented["shown"], prevented["remaining"]
    if waits or data.get("queued"):  # for its trigger, or for its turn
        waiting.add(data["orderId"])
    elif data["rested"]:
        book[data["orderId"]] = Resting(data["side"], data["price"], data["shown"], data["rested"])


def _sides(book: dict[str, Resting]) -> Sides:
    """Best first; at one price as they came, which is the order that a dict keeps."""
    orders = [(each.side, (name, each.price, each.shown)) for name, each in book.items()]
    bids = [order for side, order in orders if side == "BUY"]
    asks = [order for side, order in orders if side == "SELL"]
    return Sides(
        sorted(bids, key=lambda order: -order[1]), sorted(asks, key=lambda order: order[1])
    )


def read(servers: str, topic: str) -> Iterator[tuple[int, dict[str, str], str]]:
    """Partition, headers and value of all messages that are there, with plain Kafka."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "somebody", "enable.partition.eof": True}
    )
    try:
        numbers = consumer.list_topics(topic, timeout=60).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
        unfinished = set(numbers)
        while unfinished:
            message = consumer.poll(60)
            assert message is not None
            partition: Any = message.partition()
            if (error := message.error()) is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                unfinished.remove(partition)
                continue
            headers: Any = message.headers()
            texts = {name: text.decode() for name, text in headers}
            yield partition, texts, (message.value() or b"").decode()
    finally:
        consumer.close()
