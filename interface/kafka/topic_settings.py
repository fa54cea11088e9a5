"""The settings of existing topics and their brokers, as Kafka describes them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclOperation,
    AdminClient,
    ConfigResource,
)

from interface.kafka.topics import QUIET, KafkaAway, request_seconds

# Kafka's own default, which is assumed where a topic's settings can't be read.
DEFAULT_MESSAGE_BYTES: Final = 1_048_588


class TopicState(NamedTuple):
    """A topic as Kafka describes it; ``config`` is None where we may not read it."""

    id: str
    partitions: int
    replicas: int  # of the partition that has fewest, as are those in sync
    in_sync: int
    may_write: bool
    config: Mapping[str, str] | None
    may_see: bool = True  # False: nothing else is known of it

    @property
    def message_bytes(self) -> int:
        """Return the size of the largest message, as the broker stores it."""
        config = self.config or {}
        limit = int(config.get("max.message.bytes", DEFAULT_MESSAGE_BYTES))
        return min(limit, int(config.get("segment.bytes", limit)))


class Settings(NamedTuple):
    """The settings of topics, by name, and those of brokers, by id."""

    topics: Mapping[str, TopicState]
    brokers: Mapping[str, Mapping[str, str]]


def read_settings(servers: str, names: Sequence[str]) -> Settings:
    """Ask for those of the topics that exist, and for the brokers'. Raises KafkaAway."""
    client = AdminClient({"bootstrap.servers": servers, **QUIET})
    futures = client.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=request_seconds(),
    )
    described, hidden = {}, []
    for name in names:
        try:
            if (topic := _known(futures[name], KafkaError.UNKNOWN_TOPIC_OR_PART)) is not None:
                described[name] = topic
        except KafkaAway as error:
            if error.is_unreachable:
                raise
            hidden.append(name)
    nodes = {
        str(replica.id)
        for topic in described.values()
        for partition in topic.partitions
        for replica in partition.replicas
    }
    kinds = ConfigResource.Type
    configs = _configs(client, [(kinds.TOPIC, name) for name in described])
    brokers = _configs(client, [(kinds.BROKER, node) for node in sorted(nodes)])
    unknown = TopicState("", 0, 0, 0, may_write=False, config=None, may_see=False)
    return Settings(
        {
            **{name: _state(topic, configs.get(name)) for name, topic in described.items()},
            **dict.fromkeys(hidden, unknown),
        },
        brokers,
    )


def _configs(
    client: AdminClient, resources: Sequence[tuple[Any, str]]
) -> dict[str, Mapping[str, str]]:
    """Those that we may read, by the resource's name."""
    found: dict[str, Mapping[str, str]] = {}
    if not resources:
        return found
    futures = client.describe_configs(
        [ConfigResource(*resource) for resource in resources],
        request_timeout=request_seconds(),
    )
    for resource, future in futures.items():
        try:
            entries = _known(future)
        except KafkaAway as error:
            if error.is_unreachable:
                raise
            continue  # they are not for us
        found[resource.name] = {key: entry.value or "" for key, entry in entries.items()}
    return found


def _known(future: "Future[Any]", harmless: int | None = None) -> Any:
    """The result; None where it fails with what is harmless. Raises KafkaAway."""
    try:
        return future.result()
    except KafkaException as error:
        if error.args[0].code() == harmless:
            return None
        raise KafkaAway.by(error.args[0]) from error


def _state(topic: Any, config: Mapping[str, str] | None) -> TopicState:
    allowed = topic.authorized_operations
    return TopicState(
        str(topic.topic_id),
        len(topic.partitions),
        min((len(each.replicas) for each in topic.partitions), default=0),
        min((len(each.isr) for each in topic.partitions), default=0),
        # A broker without an authorizer lists them all; an old one says nothing.
        not allowed or AclOperation.WRITE in allowed,
        config,
    )
