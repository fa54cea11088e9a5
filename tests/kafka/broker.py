"""A real Kafka for tests: on a directory, on free ports, started, killed and started again."""

import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka.program import Program, free_port
from tests.kafka.runtime import Runtime, jars

KRAFT_VERSION: Final = "4.1.1"
ZOOKEEPER_VERSION: Final = "3.9.1"  # the last line of versions that knows ZooKeeper

_CLUSTER_ID: Final = "b3JkZXItbWF0Y2hpbmctMQ"  # 16 bytes in base64, any
_HEAP: Final = "512m"

# One broker has all copies, keeps no more than tests need, and lets go of the dead soon.
_SETTINGS: Final[dict[str, object]] = {
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "log.cleaner.dedupe.buffer.size": 8_000_000,
}


class Cluster:
    """Programs that together are a Kafka; data and ports stay the same from start to start."""

    def __init__(self, port: int, *programs: Program) -> None:
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._programs = programs

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pids(self) -> list[int]:
        return [program.pid for program in self._programs]

    def start(self) -> None:
        """Start, or start again, and wait until every partition is served.

        The programs die with the thread that calls this.
        """
        try:
            for program in self._programs:
                self._before(program)
                program.start()
            self._programs[-1].wait_until(self._serves)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        for program in reversed(self._programs):
            program.stop()

    def kill(self) -> None:
        """By kill -9, all programs."""
        for program in self._programs:
            program.kill()

    def pause(self) -> None:
        """By SIGSTOP: connections stay, and nobody answers."""
        for program in self._programs:
            program.pause()

    def resume(self) -> None:
        for program in self._programs:
            program.resume()

    def _before(self, program: Program) -> None:
        """Wait for what the program needs to start."""

    def _serves(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            known = admin.list_topics(timeout=5)
        except KafkaException:
            return False
        leaders = [
            partition.leader
            for topic in known.topics.values()
            for partition in topic.partitions.values()
        ]
        return bool(known.brokers) and all(leader in known.brokers for leader in leaders)


class Broker(Cluster):
    """Kafka 4, its own controller (KRaft)."""

    def __init__(self, directory: Path, runtime: Runtime | None = None) -> None:
        """Make its files in the directory; raise NoKafka where nothing can run it."""
        runtime = runtime or jars(KRAFT_VERSION)
        port, controller = free_port(), free_port()
        properties = directory / "server.properties"
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            # A killed broker can come back only when its session is over.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "log.dirs": directory / "data",
        }
        _write(properties, settings | _SETTINGS)
        tool = ("kafka.tools.StorageTool", "format", "--standalone", "-t", _CLUSTER_ID)
        subprocess.run(
            runtime.command(*tool, "-c", str(properties)), check=True, capture_output=True
        )
        command = runtime.command("kafka.Kafka", str(properties), heap=_HEAP)
        log = directory / "kafka.log"
        super().__init__(port, Program(command, port, log, runtime.end_with))


class ZooKeeperBroker(Cluster):
    """Kafka 3.9, managed by a ZooKeeper."""

    def __init__(self, directory: Path) -> None:
        """Make its files in the directory; raise NoKafka where nothing can run it."""
        runtime = jars(ZOOKEEPER_VERSION)
        port, zookeeper = free_port(), free_port()
        _write(
            directory / "zookeeper.properties",
            {
                "dataDir": directory / "zookeeper",
                "clientPort": zookeeper,
                "clientPortAddress": "127.0.0.1",
                "admin.enableServer": "false",
                "4lw.commands.whitelist": "dump",
                "tickTime": 500,
            },
        )
        settings = {
            "broker.id": 1,
            "listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "zookeeper.connect": f"127.0.0.1:{zookeeper}",
            "zookeeper.session.timeout.ms": 3000,
            "log.dirs": directory / "data",
        }
        _write(directory / "server.properties", settings | _SETTINGS)
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        keep = runtime.command(main, str(directory / "zookeeper.properties"))
        serve = runtime.command("kafka.Kafka", str(directory / "server.properties"), heap=_HEAP)
        self._zookeeper = ("127.0.0.1", zookeeper)
        super().__init__(
            port,
            Program(keep, zookeeper, directory / "zookeeper.log", runtime.end_with),
            Program(serve, port, directory / "kafka.log", runtime.end_with),
        )

    def _before(self, program: Program) -> None:
        """ZooKeeper keeps the name of a killed broker until its session is over."""
        if program is self._programs[-1]:
            self._programs[0].wait_until(self._zookeeper_is_free)

    def _zookeeper_is_free(self) -> bool:
        # While it starts it may take a question and never answer.
        with suppress(OSError), socket.create_connection(self._zookeeper, timeout=1) as connection:
            connection.sendall(b"dump")
            return "Sessions with Ephemerals (0)" in connection.makefile().read()
        return False


def _write(properties: Path, settings: dict[str, object]) -> None:
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
