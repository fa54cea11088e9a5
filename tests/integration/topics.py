"""What stands on a topic, and what a consumer makes of it that keeps to the rule."""

from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

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
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        partitions = [TopicPartition(topic, number, 0) for number in numbers]
        left = {
            partition.partition: consumer.get_watermark_offsets(partition, timeout=10)[1]
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
        assert message.predecessor <= had, f"a gap after {had}: {message}"
        mine[message.partition] = message.position
        if not message.is_progress:
            taken.append(message)
    return sorted(taken, key=lambda message: message.position)
