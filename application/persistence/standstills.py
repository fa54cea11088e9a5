"""The workers that can't go on, with the reasons, for those who ask if the market works.

A worker (a follower, the clock, whoever takes snapshots) says so in a table, since those who are
asked are other processes. Its row is removed when it goes on.
"""

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from psycopg.sql import SQL, Identifier

from application.persistence.connection import AWAY, living_connection
from application.persistence.migrations import SCHEMA_VERSION, Part

# For how long a worker may fail for a reason that may pass by itself.
_PATIENCE_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 5.0  # a row that somebody else has removed is written again

_TABLE: Final = """CREATE TABLE IF NOT EXISTS {table} (
        worker text PRIMARY KEY,
        reason text NOT NULL,
        position bigint,
        since timestamptz NOT NULL
    )"""
# The row is left as it is where nothing changes: that is asked for again and again.
_NOTE: Final = """INSERT INTO {table} AS known
    VALUES (%s, %s, %s, clock_timestamp() - make_interval(secs => %s))
    ON CONFLICT (worker) DO UPDATE SET
        reason = excluded.reason, position = excluded.position, since = excluded.since
    WHERE (known.reason, known.position) IS DISTINCT FROM (excluded.reason, excluded.position)"""
_CLEAR: Final = "DELETE FROM {table} WHERE worker = %s"
_ALL: Final = "SELECT worker, reason, position, since FROM {table} ORDER BY worker"


class Standstill(NamedTuple):
    """A worker that can't go on; ``position`` is where it stands, if it follows a log."""

    worker: str
    reason: str
    position: int | None
    since: datetime

    def __str__(self) -> str:
        since = self.since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        place = "" if self.position is None else f" at position {self.position}"
        return f"{self.worker} has stood still{place} since {since}: {self.reason}"


def current(standstills: Iterable[Standstill], publishers: Collection[str]) -> list[Standstill]:
    """Those that still matter: where Kafka is switched off, a publisher's row is left over."""
    return [
        each
        for each in standstills
        if not each.worker.endswith("Publisher") or each.worker in publishers
    ]


class Standstills:
    """The table of them, in the schema of the logs."""

    def __init__(self, datastore: Any) -> None:
        self._datastore = datastore
        self._table = Identifier(datastore.schema, "standstills")

    def part(self) -> Part:
        """Return the table, which is another part of the schema of the logs."""
        made = SQL(_TABLE).format(table=self._table)
        return Part(self._datastore.schema, ("standstills",), {SCHEMA_VERSION: [made]})

    def note(self, worker: str, reason: str, position: int | None, seconds: float) -> None:
        """Say that a worker has stood still for so many seconds, and why."""
        reason = reason.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL takes no other
        self._execute(_NOTE, worker, reason, position, seconds)

    def clear(self, worker: str) -> None:
        self._execute(_CLEAR, worker)

    def all(self) -> list[Standstill]:
        with living_connection(self._datastore) as connection:
            rows = connection.execute(SQL(_ALL).format(table=self._table)).fetchall()
        return [Standstill(**row) for row in rows]

    def _execute(self, statement: str, *parameters: Any) -> None:
        with living_connection(self._datastore) as connection:
            connection.execute(SQL(statement).format(table=self._table), parameters)


class WorkerState:
    """Of one worker: what it says while it fails, and takes back when it works again."""

    def __init__(self, standstills: Standstills, worker: str) -> None:
        self._standstills = standstills
        self._worker = worker
        self._is_known_to_work = False  # a row may be left of the process before
        self._reason = ""
        self._since = self._noted = 0.0

    def fails(self, reason: str, *, position: int | None = None, is_lasting: bool = False) -> None:
        """It can't go on; a reason that is not lasting is told only when it has stayed so."""
        now = time.monotonic()
        if not self._reason:
            self._since = now
        if reason != self._reason:
            self._reason, self._noted = reason, float("-inf")
        is_due = is_lasting or now - self._since >= _PATIENCE_SECONDS
        if is_due and now - self._noted >= _AGAIN_SECONDS:
            with suppress(*AWAY):  # it is tried again
                self._standstills.note(self._worker, reason, position, now - self._since)
                self._noted, self._is_known_to_work = now, False

    def begins(self) -> None:
        """Assume nothing: another process may have done this work, and failed, meanwhile."""
        self._is_known_to_work = False

    def works(self) -> None:
        self._reason = ""
        if not self._is_known_to_work:
            with suppress(*AWAY):
                self._standstills.clear(self._worker)
                self._is_known_to_work = True
