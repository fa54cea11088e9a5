"""What can run Kafka's programs here: a Java with Apache's jars, or Docker."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import pytest

Got = TypeVar("Got")

POM: Final = Path(__file__).with_name("pom.xml")
CACHE: Final = Path(__file__).parents[2] / ".kafka"

_OLDEST_JAVA: Final = 17
_FETCH_SECONDS: Final = 600


class NoKafka(Exception):
    """There is nothing here to run a broker with; the message says what would do."""


@dataclass(frozen=True)
class Runtime:
    """The words that a command begins with, and the class path that it finds Kafka on.

    end_with: the signal that ends a command when whoever started it is gone.
    """

    java: tuple[str, ...]
    class_path: str
    end_with: signal.Signals = signal.SIGKILL  # a paused one, too

    def command(self, main: str, *arguments: str, heap: str = "256m") -> list[str]:
        """The command that runs a class, logging what it does to its output."""
        # The quick compiler alone: a start takes 3 s of CPU instead of 5, and then it's as fast.
        options = (
            f"-Xmx{heap}",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.apache.logging.log4j.level=INFO",
        )
        return [*self.java, *options, "-cp", self.class_path, main, *arguments]


def or_skip(get: Callable[[], Got]) -> Got:
    """What get gives; without a Kafka the test is skipped, and fails where one is required."""
    try:
        return get()
    except NoKafka as missing:
        reason = f"There is no Kafka to test with. What would do: {missing}."
        if os.environ.get("REQUIRE_KAFKA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def jars(version: str) -> Runtime:
    """Java on Apache's jars, which are fetched when they were not yet."""
    if not (_has_java() and shutil.which("mvn")):
        raise NoKafka(f"Java {_OLDEST_JAVA} or newer, and Maven")
    return Runtime(("java",), f"{_fetched(version)}/*")


def docker(version: str, directory: Path) -> Runtime:
    """Java in a container that sees the directory, and listens where this machine does."""
    if not shutil.which("docker") or _fails("docker", "info"):
        raise NoKafka("a running Docker")
    run = ("docker", "run", "--rm", "--network=host", f"--user={os.getuid()}:{os.getgid()}")
    java = (f"--volume={directory}:{directory}", "--entrypoint=java", f"apache/kafka:{version}")
    # The client passes this signal on to its container, which would survive a killed client.
    return Runtime((*run, *java), "/opt/kafka/libs/*", end_with=signal.SIGTERM)


def _fetched(version: str) -> Path:
    """The folder of the jars; one process fetches them, and the others wait for it."""
    target = CACHE / f"{version}-{zlib.crc32(POM.read_bytes()):08x}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            unfinished = CACHE / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _fetch(version, unfinished)
            unfinished.rename(target)
    return target


def _fetch(version: str, target: Path) -> None:
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={target}")
    done = subprocess.run(
        ["mvn", "--quiet", "--batch-mode", "-f", POM, f"-Dkafka.version={version}", *goal],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise NoKafka(f"a Maven that can fetch Kafka {version}; it said: {done.stdout[-2000:]}")


def _has_java() -> bool:
    if not shutil.which("java"):
        return False
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', said.stderr)
    return version is not None and int(version[1]) >= _OLDEST_JAVA


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0
