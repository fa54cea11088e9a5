"""The brokers of the compose files: their settings, given to the real programs."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from interface.kafka.topics import create, describe, topics_of
from interface.settings import Settings
from tests.compose import KRAFT, ZOOKEEPER, services
from tests.kafka.broker import KRAFT_VERSION, ZOOKEEPER_VERSION, Cluster
from tests.kafka.program import Program, free_port
from tests.kafka.runtime import jars, or_skip

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

INSIDE, HOST = "19092", "9092"
PORTS = (INSIDE, HOST, "29093", "2181")

Ports = Mapping[str, int]  # of a port in the compose files, that of this machine


@pytest.fixture
def ports() -> Ports:
    return {port: free_port() for port in PORTS}


def on_this_machine(value: Any, ports: Ports, directory: Path) -> str:
    """A setting, with the addresses that a container has replaced by ones that we have."""
    value = str(value).replace("/var/lib/kafka/data", str(directory / "data"))
    value = re.sub(r"(//|kafka|zookeeper):(?=\d)", lambda found: _host(found[1]), value)
    return re.sub(rf":({'|'.join(PORTS)})\b", lambda found: f":{ports[found[1]]}", value)


def _host(name: str) -> str:
    return "//127.0.0.1:" if name == "//" else "127.0.0.1:"


def properties(environment: Mapping[str, Any], ports: Ports, directory: Path) -> Path:
    """A file for the broker with what the image makes of the environment."""
    file = directory / "server.properties"
    file.write_text(
        "".join(
            f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}="
            f"{on_this_machine(value, ports, directory)}\n"
            for name, value in environment.items()
            if name.startswith("KAFKA_")
        )
    )
    return file


@pytest.fixture
def kraft(tmp_path: Path, ports: Ports) -> Iterator[Cluster]:
    environment = services(KRAFT)["kafka"]["environment"]
    file = str(properties(environment, ports, tmp_path))
    runtime = or_skip(lambda: jars(KRAFT_VERSION))
    tool = ("kafka.tools.StorageTool", "format", "-t", environment["CLUSTER_ID"], "-c", file)
    subprocess.run(runtime.command(*tool), check=True, capture_output=True)
    broker = runtime.command("kafka.Kafka", file, heap="512m")
    with Cluster(
        ports[HOST], Program(broker, ports[HOST], tmp_path / "kafka.log", runtime.end_with)
    ) as cluster:
        yield cluster


@pytest.fixture
def with_zookeeper(tmp_path: Path, ports: Ports) -> Iterator[Cluster]:
    environment = services(ZOOKEEPER)["kafka"]["environment"]
    file = str(properties(environment, ports, tmp_path))
    runtime = or_skip(lambda: jars(ZOOKEEPER_VERSION))
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    keeper = runtime.command(main, str(ports["2181"]), str(tmp_path / "zookeeper"))
    broker = runtime.command("kafka.Kafka", file, heap="512m")
    with Cluster(
        ports[HOST],
        Program(keeper, ports["2181"], tmp_path / "zookeeper.log", runtime.end_with),
        Program(broker, ports[HOST], tmp_path / "kafka.log", runtime.end_with),
    ) as cluster:
        yield cluster


@pytest.mark.parametrize("mode", ["kraft", "with_zookeeper"])
def test_the_broker_serves_inside_and_for_the_host(mode, request, ports):
    request.getfixturevalue(mode)
    for listener in (INSIDE, HOST):
        address = f"127.0.0.1:{ports[listener]}"
        known = AdminClient({"bootstrap.servers": address}).list_topics(timeout=60)
        assert [f"{each.host}:{each.port}" for each in known.brokers.values()] == [address]
    topics = topics_of(Settings())
    create(f"127.0.0.1:{ports[INSIDE]}", topics)
    found = describe(f"127.0.0.1:{ports[HOST]}", [topic.name for topic in topics])
    assert {name: each.partitions for name, each in found.items()} == {
        topic.name: topic.partitions for topic in topics
    }
