"""Topics, which only `ome kafka init` makes, so that none is made by accident."""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from application.persistence.following import CannotFollow
from application.publishing import FEEDS
from interface.settings import Settings

DEAD_LETTERS: Final = "dead-letters"
# The largest event is a decision that fills half a million orders. Brokers take up to
# 100 MB unless told.
MAX_MESSAGE_BYTES: Final = 64 * 2**20
# librdkafka logs each attempt to reach a broker that is away; what matters of it comes with
# exceptions.
_NOWHERE: Final = logging.getLogger("librdkafka")
_NOWHERE.disabled = True
QUIET: Final[dict[str, Any]] = {"log_level": 0, "logger": _NOWHERE}

NOBODY_ANSWERS: Final = (
    KafkaError._TIMED_OUT,  # noqa: SLF001 - librdkafka's own codes are named like this
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
)
TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)
_SECONDS: Final = 2  # to wait for a broker that doesn't answer
_MAKING_SECONDS: Final = 30
_LOOK_SECONDS: Final = 0.1
MS_AN_HOUR: Final = 3_600_000


class KafkaAway(CannotFollow):
    """No broker answers, or none does what it is asked."""

    is_unreachable = False
    is_unconfirmed = False  # it answers, and does not confirm what is sent

    @classmethod
    def by(cls, error: KafkaError) -> "KafkaAway":
        if error.code() in NOBODY_ANSWERS:
            away = cls("Kafka is away")
            away.is_unreachable = True
            return away
        return cls(f"Kafka refuses: {error.str()}")


class OtherPartitions(CannotFollow):
    """A topic is there with another number of partitions: keys would change places."""

    def __init__(self, name: str, there: int, wanted: int) -> None:
        super().__init__(
            f"the topic {name} has {there} partitions, not {wanted}: with another number, keys"
            f" change places. To have {wanted}, delete it and make it anew."
        )


class Topic(NamedTuple):
    """A topic as it should be; ``retention_hours`` -1: for ever."""

    name: str
    partitions: int
    replication: int
    retention_hours: int


class Found(NamedTuple):
    """A topic as it is. The id is its own: a topic that is made anew has another."""

    id: str
    partitions: int


def request_seconds() -> int:
    """Return the time that a request waits for a broker that doesn't answer."""
    return _SECONDS


def topics_of(settings: Settings) -> list[Topic]:
    """The topics of all feeds, and where consumers put what is not for them."""
    partitions = {
        name: settings.kafka_partitions for feed in FEEDS.values() for name in feed.topics
    }
    return [
        Topic(
            settings.kafka_topic_prefix + name,
            count,
            settings.kafka_replication,
            settings.kafka_retention_hours,
        )
        for name, count in {**partitions, DEAD_LETTERS: 1}.items()
    ]


def describe(servers: str, names: Sequence[str]) -> dict[str, Found]:
    """Those of the topics that are there. Raises KafkaAway."""
    client = AdminClient({"bootstrap.servers": servers, **QUIET})
    futures = client.describe_topics(TopicCollection(list(names)), request_timeout=_SECONDS)
    found = {}
    for name, future in futures.items():
        if (topic := _result(future, KafkaError.UNKNOWN_TOPIC_OR_PART)) is not None:
            found[name] = Found(str(topic.topic_id), len(topic.partitions))
    return found


def are_empty(servers: str, topics: Mapping[str, Found]) -> bool:
    """Test if no message was ever sent to any of the topics. Raises KafkaAway."""
    return not any(_ends(servers, topics))


def _ends(servers: str, topics: Mapping[str, Found]) -> list[int]:
    """The offset at which each partition ends. Raises KafkaAway where one doesn't answer."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "none", **QUIET})
    try:
        return [
            consumer.get_watermark_offsets(TopicPartition(name, number), timeout=_SECONDS)[1]
            for name, topic in topics.items()
            for number in range(topic.partitions)
        ]
    except KafkaException as error:
        raise KafkaAway.by(error.args[0]) from error
    finally:
        consumer.close()


def create(servers: str, topics: Sequence[Topic]) -> list[str]:
    """Make the topics that are missing; return their names. Safe to do again.

    Raises KafkaAway, and OtherPartitions, if it can before anything is made.
    """
    found = _check(servers, topics)
    missing = [_new(topic) for topic in topics if topic.name not in found]
    if not missing:
        return []
    client = AdminClient({"bootstrap.servers": servers, **QUIET})
    futures = client.create_topics(
        missing, operation_timeout=_MAKING_SECONDS, request_timeout=_MAKING_SECONDS
    )
    for future in futures.values():
        _result(future, KafkaError.TOPIC_ALREADY_EXISTS)  # somebody else has, this moment
    deadline = time.monotonic() + _MAKING_SECONDS
    while not _serve(servers, topics):
        if time.monotonic() > deadline:
            raise KafkaAway("Kafka does not serve the topics that it has made")
        time.sleep(_LOOK_SECONDS)
    return list(futures)


def _serve(servers: str, topics: Sequence[Topic]) -> bool:
    """Test if the topics are there, and each partition answers. Raises OtherPartitions."""
    try:
        found = _check(servers, topics)
        _ends(servers, found)
    except KafkaAway:
        return False
    return len(found) == len(topics)


def _check(servers: str, topics: Sequence[Topic]) -> dict[str, Found]:
    """Those of the topics that are there. Raises OtherPartitions."""
    found = describe(servers, [topic.name for topic in topics])
    for topic in topics:
        if topic.name in found and found[topic.name].partitions != topic.partitions:
            raise OtherPartitions(topic.name, found[topic.name].partitions, topic.partitions)
    return found


def _new(topic: Topic) -> NewTopic:
    hours = topic.retention_hours
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication,
        config={
            "cleanup.policy": "delete",
            "retention.ms": str(hours if hours < 0 else hours * MS_AN_HOUR),
            "retention.bytes": "-1",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            # One broker may be away; what is confirmed is on all the others.
            "min.insync.replicas": str(max(1, topic.replication - 1)),
        },
    )


def _result(future: "Future[Any]", harmless: int) -> Any:
    """None where it fails with what is harmless. Raises KafkaAway."""
    try:
        return future.result()
    except KafkaException as error:
        if error.args[0].code() == harmless:
            return None
        raise KafkaAway.by(error.args[0]) from error
