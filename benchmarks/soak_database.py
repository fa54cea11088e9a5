"""Threads with a connection of their own that look at the database beside a long load."""

import threading
import time
from collections import Counter
from typing import Self

import psycopg

_CONTROL_SECONDS = 0.1
_WATCH_SECONDS = 1.0

_VACUUMS = """SELECT relid::regclass::text AS name FROM pg_stat_progress_vacuum
    WHERE datname = current_database()"""


class _OnTheSide(threading.Thread):
    """A thread with a connection of its own, for as long as it is entered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._connection = psycopg.connect(url, autocommit=True)
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()
        self._connection.close()


class Control(_OnTheSide):
    """A thread that commits a row every 100 ms, in a schema of its own."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._connection.execute("CREATE SCHEMA IF NOT EXISTS soak")
        self._connection.execute("CREATE TABLE IF NOT EXISTS soak.control (number bigint)")
        self.commits: list[tuple[float, float]] = []  # when it was done, and how long it took

    def run(self) -> None:
        while not self._stopping.wait(_CONTROL_SECONDS):
            begun = time.monotonic()
            self._connection.execute("INSERT INTO soak.control VALUES (%s)", [len(self.commits)])
            done = time.monotonic()
            self.commits.append((done, (done - begun) * 1000))


class Watch(_OnTheSide):
    """A thread that notes every second which tables are being vacuumed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.vacuumed: Counter[str] = Counter()  # seconds, by table

    def run(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            self.vacuumed.update(name for (name,) in self._connection.execute(_VACUUMS).fetchall())
