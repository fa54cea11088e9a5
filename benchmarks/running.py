"""The system under measurement: a PostgreSQL that syncs its commits, databases, processes."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.measuring import ROOT
from interface.postgres import EmbeddedPostgres
from interface.process import death_signal

# On a disk: /tmp is in memory on some systems.
_DISK = Path("/var/tmp")

_STOP_SECONDS = 30
_LAST_LINES = 3_000  # characters


@contextmanager
def directory() -> Iterator[Path]:
    """A temporary directory on a disk."""
    path = Path(tempfile.mkdtemp(prefix="ome-bench-", dir=_DISK if _DISK.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server of our own that gives up nothing: fsync and synchronous_commit are on."""
    with directory() as path, EmbeddedPostgres(path, durable=True) as server:
        yield server


@contextmanager
def fresh_database(server_url: str, like: str | None = None) -> Iterator[str]:
    """The URL of a new database, empty or as another is; it is dropped at the end."""
    name = f"bench_{uuid.uuid4().hex}"
    template = conninfo_to_dict(like)["dbname"] if like else "template1"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield server_url.replace("/ome?", f"/{name}?")
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute("CHECKPOINT")  # who comes next doesn't pay for it


class Child:
    """A process that we started; it and its own children end with the context.

    It answers on standard output, line by line; what it logs is shown where it fails.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        root: Path = ROOT,  # where its modules are found
    ) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [python, "-P", "-m", *arguments],
            cwd=tempfile.gettempdir(),  # no .env of ours is meant
            env={**os.environ, "PYTHONPATH": str(root), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
            preexec_fn=death_signal(os.getpid(), signal.SIGTERM),  # noqa: PLW1509 - no locks
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.resume()
            self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            stream.close()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """The next line; raises RuntimeError where the process ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._last_words())
        return line.strip()

    def check(self) -> None:
        """Raise RuntimeError if the process has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(self._last_words())

    def pause(self) -> None:
        """Stop the process and all its children where they are."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _last_words(self) -> str:
        self._log.seek(0)
        return f"{self._process.args!r} ended: {self._log.read()[-_LAST_LINES:]}"


def cpu_seconds(pid: int) -> float:
    """Of a process, and of all children that it has or had."""
    total = 0.0
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class ProcessorTime:
    """Processor seconds that processes have used since the beginning."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self.begin()

    def begin(self) -> None:
        self._before = self._now()

    def seconds(self) -> dict[str, float]:
        return {part: now - self._before[part] for part, now in self._now().items()}

    def _now(self) -> dict[str, float]:
        return {part: cpu_seconds(pid) for part, pid in self._pids.items()}
