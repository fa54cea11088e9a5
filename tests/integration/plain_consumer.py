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

Order = tuple[str, Decimal, Decimal]  # its id, price and quantity


class Sides(NamedTuple):
    """Every resting order, in priority order."""

    bids: list[Order]
    asks: list[Order]


@dataclass
class Resting:
    side: str
    price: Decimal
    quantity: Decimal


@dataclass
class Books:
    """The books of all assets, as of the messages that were taken."""

    books: dict[str, dict[str, Resting]] = field(default_factory=dict)
    past: dict[tuple[str, int], Sides] = field(default_factory=dict)  # by asset and version
    types: set[str] = field(default_factory=set)
    dropped: int = 0
    positions: dict[int, int] = field(default_factory=dict)  # by partition

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
        if name != "log.progress.v1":
            self._apply(name, json.loads(value, parse_float=Decimal, parse_int=Decimal))

    def _apply(self, name: str, data: dict[str, Any]) -> None:
        asset, version = data["asset"], int(data["bookVersion"])
        if name == "book.opened.v1":
            assert asset not in self.books
            self.books[asset] = {}
        else:
            assert (asset, version - 1) in self.past, f"{asset} {version} comes too early"
        _change(self.books[asset], name, data)
        self.past[asset, version] = _sides(self.books[asset])


def _change(book: dict[str, Resting], name: str, data: dict[str, Any]) -> None:
    for trade in data.get("trades", ()):
        maker = book[trade["makerOrderId"]]
        assert maker.price == trade["price"]
        maker.quantity -= trade["quantity"]
        assert maker.quantity == trade["makerRemaining"]
        if maker.quantity == 0:
            del book[trade["makerOrderId"]]
    order_id = data.get("orderId", "")
    match name:
        case "book.cancelled.v1":
            assert book.pop(order_id).quantity == data["remaining"]
        case "book.reduced.v1":
            assert book[order_id].quantity == data["previousRemaining"]
            book[order_id].quantity = data["remaining"]
        case "book.replaced.v1":
            before = book.pop(order_id)
            assert (before.price, before.quantity) == (
                data["previousPrice"],
                data["previousRemaining"],
            )
    if data.get("rested"):
        book[order_id] = Resting(data["side"], data["price"], data["rested"])


def _sides(book: dict[str, Resting]) -> Sides:
    """Best first; at one price as they came, which is the order that a dict keeps."""
    orders = [(each.side, (name, each.price, each.quantity)) for name, each in book.items()]
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
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
        unfinished = set(numbers)
        while unfinished:
            message = consumer.poll(10)
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
