"""What stands on a topic, and what a consumer makes of it that keeps to the rule."""

from collections import Counter
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from application.persistence.partitions import partition_of
from application.publishing import FEEDS
from interface.settings import Settings
from tests.integration.conftest import Venue

_SECTION = 10_000

PROGRESS = "com.ordermatchingengine.log.progress.v1"


class Sent(NamedTuple):
    partition: int
    key: str | None
    value: bytes
    headers: dict[str, str]

    @property
    def position(self) -> int:
        return int(self.headers["ce_position"])

    @property
    def predecessor(self) -> int:
        return int(self.headers["ce_predecessor"])

    @property
    def is_progress(self) -> bool:
        return self.headers["ce_type"] == PROGRESS


def read(servers: str, topic: str) -> list[Sent]:
    """All that stands on a topic; of each partition in its order."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "none", "log_level": 0})
    try:
        numbers = consumer.list_topics(topic, timeout=60).topics[topic].partitions
        partitions = [TopicPartition(topic, number, 0) for number in numbers]
        left = {
            partition.partition: consumer.get_watermark_offsets(partition, timeout=60)[1]
            for partition in partitions
        }
        consumer.assign(partitions)
        found: dict[int, list[Sent]] = {number: [] for number in left}
        while any(len(found[number]) < end for number, end in left.items()):
            for message in consumer.consume(1_000, timeout=0.05):
                assert message.error() is None
                sent = _sent(message)
                found[sent.partition].append(sent)
        return [sent for number in left for sent in found[number]]
    finally:
        consumer.close()


def _sent(message: "Message[bytes, bytes]") -> Sent:
    key, value, partition = message.key(), message.value(), message.partition()
    assert value is not None
    assert partition is not None
    headers: Any = message.headers()
    texts = {name: text.decode() for name, text in headers}
    return Sent(partition, None if key is None else key.decode(), value, texts)


def take(messages: list[Sent]) -> list[Sent]:
    """What is new, in order of position: drops what it has had, and fails at a gap."""
    mine: dict[int, int] = {}
    taken = []
    for message in messages:
        had = mine.get(message.partition, 0)
        if message.position <= had:
            continue
        assert message.predecessor <= had, f"a gap after {had}: {message} of {_places(messages)}"
        mine[message.partition] = message.position
        if not message.is_progress:
            taken.append(message)
    return sorted(taken, key=lambda message: message.position)


def _places(messages: list[Sent]) -> str:
    """Where messages stand, in the order in which they came, each with its predecessor."""
    return " ".join(f"{each.partition}:{each.position}<{each.predecessor}" for each in messages)


def log_of(venue: Venue, leader: str) -> list[tuple[int, Any]]:
    """All events of a log, each with its position."""
    application = venue.market.orders if leader == "Orders" else venue.market.matching
    decode = application.mapper.to_domain_event
    read: list[tuple[int, Any]] = []
    while more := application.recorder.select_notifications(
        read[-1][0] + 1 if read else None, _SECTION
    ):
        read += [(each.id, decode(each)) for each in more]
    return read


def check_messages(venue: Venue, settings: Settings) -> Counter[str]:
    """What is on the topics is what is in the logs, once, each asset's in order.

    Gives, by topic, how many messages were there twice, which is no fault.
    """
    assert settings.kafka_bootstrap_servers is not None
    repeated = Counter[str]()
    for leader, feed in FEEDS.items():
        log = log_of(venue, leader)
        expected = [(at, each) for at, event in log for each in feed.publications(at, event)]
        for topic in feed.topics:
            messages = read(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix + topic)
            taken = take(messages)
            shown = [(m.position, m.key, m.value) for m in taken]
            # What is about all assets is in every partition.
            copies = settings.kafka_partitions
            assert shown == [
                (at, p.key, p.value)
                for at, p in expected
                if p.topic == topic
                for _ in range(copies if p.key is None else 1)
            ]
            assert all(m.partition == partition_of(m.key, copies) for m in taken if m.key)
            repeated[topic] = len(messages) - _different(messages)
    return repeated


def _different(messages: list[Sent]) -> int:
    """How many there are without those that come again, and say the same then."""
    said: dict[tuple[int, int], tuple[str | None, bytes, str]] = {}
    for message in messages:
        says = (message.key, message.value, message.headers["ce_type"])
        assert said.setdefault((message.partition, message.position), says) == says
    return len(said)
