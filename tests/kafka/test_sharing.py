"""What the fixture ``kafka`` promises, seen from outside: in test runs of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.service import eventually
from tests.kafka.broker import KRAFT_VERSION
from tests.kafka.runtime import jars, or_skip
from tests.kafka.sharing import Kafka, SharedKafka, ask

ROOT = Path(__file__).parents[2]

# Each test is in a module of its own, so that each worker gets one, and waits for the other's.
MODULE = """
import time
from pathlib import Path

def test_tell(kafka):
    told = Path(__file__).with_suffix(".told")
    told.write_text(kafka.bootstrap_servers)
    while not Path(__file__).with_name("end").exists():
        time.sleep(0.05)
"""


@contextmanager
def run_of_two_workers(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run of two tests that use Kafka, and end when there is a file named end."""
    or_skip(lambda: jars(KRAFT_VERSION))
    for name in ("test_one.py", "test_two.py"):
        (directory / name).write_text(MODULE)
    options = ["-c", os.devnull, "-n", "2", "--dist", "loadscope", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", *options, str(directory)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(directory)},
        cwd=directory,
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def told(directory: Path) -> list[str]:
    """What each worker's test was told; it may be writing still."""
    texts = [path.read_text() for path in directory.glob("*.told")]
    return [text for text in texts if text]


def serves(bootstrap_servers: str) -> bool:
    host, port = bootstrap_servers.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.slow
def test_all_workers_of_a_run_share_a_broker_that_ends_with_the_run(short_dir):
    with run_of_two_workers(short_dir) as run:
        eventually(lambda: len(told(short_dir)) == 2, 90)
        one, two = told(short_dir)
        assert one == two
        assert serves(one)
        (short_dir / "end").touch()
        assert run.wait(60) == 0
        assert not serves(one)


@pytest.mark.slow
def test_a_broker_is_gone_when_its_run_was_killed(short_dir):
    with run_of_two_workers(short_dir) as run:
        eventually(lambda: len(told(short_dir)) == 2, 90)
        one, _ = told(short_dir)
        run.kill()
        eventually(lambda: not serves(one), 30)


def test_servers_that_were_given_are_the_answer_in_every_process():
    shared = SharedKafka("kafka.example:9092")
    address = shared.address()
    assert [ask(address), ask(address), shared.get()] == [Kafka("kafka.example:9092")] * 3
    shared.close()
