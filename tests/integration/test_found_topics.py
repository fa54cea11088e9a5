"""`ome kafka init` and topics that someone else made: each fault is named with what mends it."""

from typing import Any

import pytest
from click.testing import Result
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from interface.kafka.topic_faults import Severity, check, faults
from interface.kafka.topic_settings import Settings as Found
from interface.kafka.topic_settings import TopicState, read_settings
from interface.kafka.topics import Topic, describe
from tests.integration.service import eventually
from tests.integration.test_kafka_init import NAMES, init, variables

__all__ = ["variables"]

# As `ome kafka init` makes them.
RIGHT = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "max.message.bytes": "67108864",
    "min.insync.replicas": "1",
}


def make(variables: dict[str, str], **config: str) -> str:
    """Make all topics by hand, book.events with other settings; give its name."""
    admin = AdminClient({"bootstrap.servers": variables["KAFKA_BOOTSTRAP_SERVERS"]})
    prefix = variables["KAFKA_TOPIC_PREFIX"]
    topics = [
        NewTopic(
            prefix + name,
            num_partitions=1 if name == "dead-letters" else 3,
            config=RIGHT | config if name == "book.events" else RIGHT,
        )
        for name in NAMES
    ]
    for made in admin.create_topics(topics).values():
        made.result()  # the controller has: the broker hears of it in a moment
    servers, names = variables["KAFKA_BOOTSTRAP_SERVERS"], [topic.topic for topic in topics]
    eventually(lambda: len(describe(servers, names)) == len(names), 60)
    return f"{prefix}book.events"


def init_of(variables: dict[str, str], setting: str, value: str) -> tuple[str, Result]:
    name = make(variables, **{setting: value})
    return name, init(**variables)


@pytest.mark.parametrize(
    ("setting", "value", "needed", "why"),
    [
        ("cleanup.policy", "compact", "delete", "compaction deletes all messages of an asset"),
        ("cleanup.policy", "compact,delete", "delete", "compaction deletes"),
        ("retention.ms", "604800000", "-1", "earlier than KAFKA_RETENTION_HOURS=-1 asks for"),
        ("retention.bytes", "1000000", "-1", "when a partition is larger than that"),
        ("max.message.bytes", "1048588", "67108864", "a large event is refused"),
        ("segment.bytes", "1048576", "1073741824", "a large event is refused"),
        ("min.insync.replicas", "2", "1", "with 1 replicas no message is ever confirmed"),
        ("message.timestamp.before.max.ms", "1000", "3600000", "messages are refused when clocks"),
        ("message.timestamp.after.max.ms", "1000", "3600000", "messages are refused when clocks"),
    ],
)
def test_init_with_a_setting_that_loses_or_blocks_names_it_and_exits_1(
    variables: dict[str, str], setting: str, value: str, needed: str, why: str
) -> None:
    name, done = init_of(variables, setting, value)
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"Error: topic {name} has {setting}={value}, not {needed}: ")
    assert why in line
    servers = variables["KAFKA_BOOTSTRAP_SERVERS"]
    assert line.endswith(
        f" To mend it: kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics"
        f" --entity-name {name} --add-config {setting}={needed}"
    )
    assert f"{name}: was there, partitions: 3" in done.stdout


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("compression.type", "uncompressed", "each counts with its whole size"),
        ("max.message.bytes", "8388608", "an earlier release recorded may be refused"),
    ],
)
def test_init_with_a_setting_that_is_only_risky_warns_and_exits_0(
    variables: dict[str, str], setting: str, value: str, why: str
) -> None:
    name, done = init_of(variables, setting, value)
    assert done.exit_code == 0
    [line] = done.stderr.splitlines()
    assert line.startswith(f"Warning: topic {name} has {setting}={value}, not ")
    assert why in line


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("retention.ms", "31536000000"),
        ("compression.type", "lz4"),
        ("message.timestamp.type", "LogAppendTime"),
        ("segment.ms", "60000"),
        ("delete.retention.ms", "1"),
        ("flush.messages", "1"),
        ("unclean.leader.election.enable", "true"),  # of one replica there is none
    ],
)
def test_init_with_a_setting_that_does_no_harm_says_nothing(
    variables: dict[str, str], setting: str, value: str
) -> None:
    make(variables, **{setting: value})
    done = init(**variables, KAFKA_RETENTION_HOURS="8760" if setting == "retention.ms" else "-1")
    assert done.stderr == ""
    assert done.exit_code == 0


def test_init_leaves_settings_as_they_are(variables: dict[str, str]) -> None:
    name, done = init_of(variables, "retention.ms", "60000")
    assert done.exit_code == 1
    [state] = read_settings(variables["KAFKA_BOOTSTRAP_SERVERS"], [name]).topics.values()
    assert state.config is not None
    assert state.config["retention.ms"] == "60000"


def test_init_beside_a_topic_with_other_partitions_makes_nothing(
    variables: dict[str, str],
) -> None:
    init(**variables)
    admin = AdminClient({"bootstrap.servers": variables["KAFKA_BOOTSTRAP_SERVERS"]})
    prefix = variables["KAFKA_TOPIC_PREFIX"]
    for deleted in admin.delete_topics([f"{prefix}trades"]).values():
        deleted.result()
    done = init(**{**variables, "KAFKA_PARTITIONS": "4"})
    assert done.exit_code == 1
    assert done.stdout == ""
    assert f"Error: topic {prefix}orders.events has 3 partitions, not 4: " in done.stderr
    assert "set KAFKA_PARTITIONS=3, or delete the topic and run" in done.stderr


ASKED = Topic("t", 3, 3, -1)


def state(**changes: Any) -> TopicState:
    right = TopicState("id", 3, 3, 3, may_write=True, config=RIGHT | {"min.insync.replicas": "2"})
    return right._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "config", "severity", "said"),
    [
        ({"may_write": False}, {}, Severity.STOP, "does not let this client write"),
        ({"may_see": False}, {}, Severity.STOP, "is not shown to this client"),
        ({"config": None}, {}, Severity.RISK, "does not show its settings to this client"),
        ({"replicas": 2, "in_sync": 2}, {}, Severity.RISK, "has 2 replicas of each partition"),
        ({"in_sync": 1}, {}, Severity.RISK, "has 1 of 3 replicas in sync"),
        ({}, {"min.insync.replicas": "1"}, Severity.RISK, "min.insync.replicas=1, not 2"),
        ({}, {"unclean.leader.election.enable": "true"}, Severity.HARM, "they are lost"),
        ({}, {"message.format.version": "0.10.2-IV0"}, Severity.HARM, "have no headers"),
        ({}, {"message.timestamp.difference.max.ms": "9"}, Severity.HARM, "refused when clocks"),
    ],
)
def test_a_state_that_one_broker_can_t_have_is_a_fault_too(
    changes: dict[str, Any], config: dict[str, str], severity: Severity, said: str
) -> None:
    found = state(**changes)
    if found.config is not None:
        found = found._replace(config={**found.config, **config})
    [fault] = faults_of(found)
    assert fault.severity is severity
    assert said in str(fault)


def faults_of(found: TopicState, **broker: str) -> list[Any]:
    return faults("kafka:9092", [ASKED], Found({"t": found}, {"1": broker} if broker else {}))


def test_topics_as_they_are_made_have_no_fault() -> None:
    assert faults_of(state()) == []


def test_a_broker_that_takes_only_small_requests_is_a_fault() -> None:
    [fault] = faults_of(state(), **{"socket.request.max.bytes": "1000000"})
    assert str(fault).startswith("broker 1 has socket.request.max.bytes=1000000, less than ")
    assert fault.severity is Severity.HARM


def test_topics_that_are_not_there_have_no_fault(variables: dict[str, str]) -> None:
    assert check(variables["KAFKA_BOOTSTRAP_SERVERS"], [ASKED._replace(name="never-made")]) == []
