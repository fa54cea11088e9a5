"""`ome kafka init`: what it says, and that it may be done again."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from interface.cli import main
from interface.kafka import topics
from interface.kafka.topics import describe
from tests.kafka.program import free_port

NAMES = ("orders.events", "book.events", "trades", "dead-letters")


@pytest.fixture
def variables(
    kafka: Any, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)  # no .env of the machine that runs the tests
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "KAFKA_PARTITIONS": "3",
    }


def init(**variables: str) -> Result:
    return CliRunner().invoke(main, ["kafka", "init"], env=variables)


def test_it_makes_what_is_missing_and_says_so_and_may_be_done_again(
    variables: dict[str, str],
) -> None:
    prefix, servers = variables["KAFKA_TOPIC_PREFIX"], variables["KAFKA_BOOTSTRAP_SERVERS"]
    for state in ("made", "was there"):
        done = init(**variables)
        assert done.exit_code == 0, done.output
        assert done.output.splitlines() == [
            f"{prefix}{name}: {state}, partitions: {1 if name == 'dead-letters' else 3}"
            for name in NAMES
        ]
    found = describe(servers, [prefix + name for name in NAMES])
    assert [topic.partitions for topic in found.values()] == [3, 3, 3, 1]


def test_topics_with_other_partitions_are_left_alone(variables: dict[str, str]) -> None:
    init(**variables)
    done = init(**{**variables, "KAFKA_PARTITIONS": "4"})
    assert done.exit_code == 1
    assert "orders.events has 3 partitions, not 4: with another number, keys" in done.output


def test_what_kafka_refuses_is_said_in_its_words(variables: dict[str, str]) -> None:
    done = init(**{**variables, "KAFKA_REPLICATION": "100"})
    assert done.exit_code == 1
    assert "Kafka refuses: Unable to replicate the partition 100 time(s)" in done.output


def test_a_broker_that_is_away_is_named(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "_SECONDS", 2)
    nowhere = f"127.0.0.1:{free_port()}"
    done = init(**{**variables, "KAFKA_BOOTSTRAP_SERVERS": nowhere})
    assert done.exit_code == 1
    assert done.output == f"Error: {nowhere}: Kafka is away\n"


def test_without_its_address_it_says_what_to_set(variables: dict[str, str]) -> None:
    done = init(**{**variables, "KAFKA_BOOTSTRAP_SERVERS": ""})
    assert done.exit_code == 1
    assert done.output == "Error: KAFKA_BOOTSTRAP_SERVERS is not set\n"
