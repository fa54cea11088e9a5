"""The one Kafka of a test run, which all its processes share.

The process that the run began in starts it, when the first test asks, and ends it. Under xdist
that process is the one that hands out the tests; the workers ask it through a socket.
"""

import shutil
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Final

from tests.kafka.runtime import NoKafka, Runtime, docker, jars

_WORKERS: Final = 64  # that may wait for an answer at the same time


@dataclass(frozen=True)
class Kafka:
    """A Kafka that is there; whoever uses it neither stops it nor counts on being alone."""

    bootstrap_servers: str


class SharedKafka:
    """Kafka at the given servers, or a broker of our own from the first question to the end."""

    def __init__(self, given: str | None) -> None:
        self._kafka = Kafka(given) if given else None
        self._lock = threading.Lock()
        self._ending = ExitStack()

    def get(self) -> Kafka:
        """Raise NoKafka where there is none and none can be started."""
        with self._lock:
            if self._kafka is None:
                self._kafka = self._start()
            return self._kafka

    def address(self) -> str:
        """Where ask() is answered, from now to the end."""
        listener = Listener(family="AF_UNIX", backlog=_WORKERS)
        self._ending.callback(listener.close)
        # The broker dies with the thread that starts it, and this one lives as long as we do.
        threading.Thread(target=self._answer, args=(listener,), daemon=True).start()
        assert isinstance(listener.address, str)
        return listener.address

    def close(self) -> None:
        with self._lock:
            self._ending.close()

    def _answer(self, listener: Listener) -> None:
        with suppress(OSError):  # it was closed: the run is over
            while True:
                with listener.accept() as asking:
                    try:
                        asking.send(self.get())
                    except Exception as error:  # noqa: BLE001 - it is raised where it was asked
                        asking.send(error)

    def _start(self) -> Kafka:
        # Imported here: tests of the domain need nothing that is above it.
        from tests.kafka.broker import KRAFT_VERSION, Broker  # noqa: PLC0415

        directory = Path(tempfile.mkdtemp(prefix="ome-test-kafka-"))
        self._ending.callback(shutil.rmtree, directory, ignore_errors=True)
        broker = Broker(directory, _runtime(KRAFT_VERSION, directory))
        broker.start()
        self._ending.callback(broker.stop)
        return Kafka(broker.bootstrap_servers)


def ask(address: str) -> Kafka:
    """What SharedKafka.get() gives or raises in the process that answers at the address."""
    with Client(address, family="AF_UNIX") as connection:
        answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, Kafka)
    return answer


def _runtime(version: str, directory: Path) -> Runtime:
    try:
        return jars(version)
    except NoKafka as no_jars:
        try:
            return docker(version, directory)
        except NoKafka as no_docker:
            raise NoKafka(
                f"KAFKA_BOOTSTRAP_SERVERS of one that runs; {no_jars}; {no_docker}"
            ) from None
