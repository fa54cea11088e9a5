"""Faults of existing topics and brokers, and their remedies.

Topics may have been made by someone else, with the brokers' defaults. Each setting that can lose,
hold back or reorder messages is compared with what is needed; nothing is changed here.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from interface.kafka.topic_settings import Settings, TopicState, read_settings
from interface.kafka.topics import MAX_MESSAGE_BYTES, MS_AN_HOUR, Topic

# The size of the largest event that this release records, with a margin; earlier releases
# recorded events of up to MAX_MESSAGE_BYTES.
_BOUNDED_MESSAGE_BYTES: Final = 4 * 2**20
# A message waits up to 10 s in the producer, and clocks differ.
_TIMESTAMP_MS: Final = 60_000
_REQUEST_BYTES: Final = MAX_MESSAGE_BYTES + 2**20
_TIMESTAMPS: Final = (
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.difference.max.ms",
)


_LIMITS: Final = {"max.message.bytes": str(MAX_MESSAGE_BYTES), "segment.bytes": str(2**30)}


class Severity(IntEnum):
    """The effect of a fault."""

    RISK = 1  # messages may be lost or held back when something else fails as well
    HARM = 2  # messages are or will be lost, held back or reordered
    STOP = 3  # nothing may be published before it is mended


class Fault(NamedTuple):
    """A setting that is not as it must be: why that matters, and what mends it."""

    where: str  # "topic trades", "broker 1"
    what: str  # "has cleanup.policy=compact, not delete"
    why: str
    remedy: str
    severity: Severity
    forbids_making: bool = False  # nothing is made beside such a topic

    def __str__(self) -> str:
        return f"{self.where} {self.what}: {self.why}. To mend it: {self.remedy}"


def check(servers: str, topics: Sequence[Topic]) -> list[Fault]:
    """Read the settings and give what is wrong with them. Raises KafkaAway."""
    return faults(servers, topics, read_settings(servers, [topic.name for topic in topics]))


def faults(servers: str, topics: Sequence[Topic], found: Settings) -> list[Fault]:
    """Return the faults of the topics that exist and of their brokers, the worst first."""
    all_faults = [
        fault
        for topic in topics
        if (state := found.topics.get(topic.name)) is not None
        for fault in _topic_faults(servers, topic, state)
    ]
    for node, config in found.brokers.items():
        all_faults.extend(_broker_faults(node, config))
    return sorted(all_faults, key=lambda fault: -fault.severity)


def _topic_faults(servers: str, topic: Topic, state: TopicState) -> Iterator[Fault]:
    where = f"topic {topic.name}"
    if not state.may_see:
        yield Fault(
            where,
            "is not shown to this client",
            "nothing can be published to it or read from it",
            f"give the client the right: kafka-acls.sh --bootstrap-server {servers} --add"
            f" --allow-principal User:… --operation Describe --operation DescribeConfigs"
            f" --operation Write --operation Read --topic {topic.name}",
            Severity.STOP,
            forbids_making=True,
        )
        return
    if not state.may_write:
        yield Fault(
            where,
            "does not let this client write",
            "nothing can be published to it",
            f"give the client the right: kafka-acls.sh --bootstrap-server {servers} --add"
            f" --allow-principal User:… --operation Write --operation Read --topic {topic.name}",
            Severity.STOP,
        )
    if state.partitions != topic.partitions:
        yield Fault(
            where,
            f"has {state.partitions} partitions, not {topic.partitions}",
            "with another number, keys change places",
            f"set KAFKA_PARTITIONS={state.partitions}, or delete the topic and run"
            " `ome kafka init` again",
            Severity.HARM,
            forbids_making=True,
        )
    if state.replicas < topic.replication:
        yield Fault(
            where,
            f"has {state.replicas} replicas of each partition, not {topic.replication}",
            "messages are lost with fewer brokers than KAFKA_REPLICATION asks for",
            "add replicas with kafka-reassign-partitions.sh, or delete the topic and run"
            " `ome kafka init` again",
            Severity.RISK,
        )
    if state.config is None:
        yield Fault(
            where,
            "does not show its settings to this client",
            "they were not checked",
            f"give the client the right: kafka-acls.sh --bootstrap-server {servers} --add"
            f" --allow-principal User:… --operation DescribeConfigs --topic {topic.name}",
            Severity.RISK,
        )
        return
    confirming = int(state.config.get("min.insync.replicas", 1))
    if state.in_sync < confirming <= state.replicas:
        yield Fault(
            where,
            f"has {state.in_sync} of {state.replicas} replicas in sync",
            f"messages are held back until min.insync.replicas={confirming} are",
            "start the brokers that are away",
            Severity.RISK,
        )
    for name, needed, why, severity in _wrong(topic, state, state.config):
        yield Fault(
            where,
            f"has {name}={state.config[name]}, not {needed}",
            why,
            alter_topic(servers, topic.name, name, needed),
            severity,
        )


def alter_topic(servers: str, topic: str, name: str, value: str) -> str:
    """The command that changes a topic's setting."""
    value = f"[{value}]" if "," in value else value
    return (
        f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics"
        f" --entity-name {topic} --add-config {name}={value}"
    )


def _wrong(
    topic: Topic, state: TopicState, config: Mapping[str, str]
) -> Iterator[tuple[str, str, str, Severity]]:
    """Yield the settings that are not as needed: name, needed value, why, and how bad."""
    for check in (_losing, _limiting, _replicating, _stamping):
        for wrong in check(topic, state, config):
            if wrong[0] in config:
                yield wrong


def _losing(
    topic: Topic, _: TopicState, config: Mapping[str, str]
) -> Iterator[tuple[str, str, str, Severity]]:
    if "compact" in config.get("cleanup.policy", ""):
        why = "compaction deletes all messages of an asset but the last"
        yield "cleanup.policy", "delete", why, Severity.STOP
    retention, hours = int(config.get("retention.ms", -1)), topic.retention_hours
    needed = hours if hours < 0 else hours * MS_AN_HOUR
    if retention >= 0 and (needed < 0 or retention < needed):
        asked = "for ever" if needed < 0 else f"{hours} h"
        why = f"messages are deleted earlier than KAFKA_RETENTION_HOURS={hours} asks for ({asked})"
        yield "retention.ms", str(needed), why, Severity.HARM
    if int(config.get("retention.bytes", -1)) >= 0:
        why = "messages are deleted when a partition is larger than that"
        yield "retention.bytes", "-1", why, Severity.HARM


def _limiting(
    _: Topic, __: TopicState, config: Mapping[str, str]
) -> Iterator[tuple[str, str, str, Severity]]:
    for name, needed in _LIMITS.items():
        limit = int(config.get(name, MAX_MESSAGE_BYTES))
        if limit < _BOUNDED_MESSAGE_BYTES:
            why = "a large event is refused, and everything after it is held back"
            yield name, needed, why, Severity.HARM
        elif limit < MAX_MESSAGE_BYTES:
            why = "a large event that an earlier release recorded may be refused"
            yield name, needed, why, Severity.RISK
    if config.get("compression.type") == "uncompressed":
        why = "brokers store messages uncompressed: each counts with its whole size"
        yield "compression.type", "producer", why, Severity.RISK
    if config.get("message.format.version", "").startswith(("0.8", "0.9", "0.10")):
        why = "messages of this format have no headers, and are refused"
        yield "message.format.version", "3.0", why, Severity.HARM


def _replicating(
    _: Topic, state: TopicState, config: Mapping[str, str]
) -> Iterator[tuple[str, str, str, Severity]]:
    confirming = int(config.get("min.insync.replicas", 1))
    wanted = max(1, state.replicas - 1)
    if confirming > state.replicas:
        why = f"with {state.replicas} replicas no message is ever confirmed"
        yield "min.insync.replicas", str(wanted), why, Severity.HARM
    elif confirming < wanted:
        why = f"a message counts as confirmed when {confirming} of {state.replicas} brokers have it"
        yield "min.insync.replicas", str(wanted), why, Severity.RISK
    if config.get("unclean.leader.election.enable") == "true" and state.replicas > 1:
        why = "a broker that lacks confirmed messages may become the leader: they are lost"
        yield "unclean.leader.election.enable", "false", why, Severity.HARM


def _stamping(
    _: Topic, __: TopicState, config: Mapping[str, str]
) -> Iterator[tuple[str, str, str, Severity]]:
    if config.get("message.timestamp.type", "CreateTime") != "CreateTime":
        return
    for name in _TIMESTAMPS:
        if int(config.get(name, _TIMESTAMP_MS)) < _TIMESTAMP_MS:
            why = "messages are refused when clocks differ, or the broker is slow, by that much"
            yield name, "3600000", why, Severity.HARM


def _broker_faults(node: str, config: Mapping[str, str]) -> Iterator[Fault]:
    name = "socket.request.max.bytes"
    if int(config.get(name, _REQUEST_BYTES)) < _REQUEST_BYTES:
        yield Fault(
            f"broker {node}",
            f"has {name}={config[name]}, less than {_REQUEST_BYTES}",
            "the connection is closed on a large event, and everything after it is held back",
            f"set {name}=104857600 in the broker's properties, and start it again",
            Severity.HARM,
        )
