"""Reading logs, positions and rows as of one moment, while everybody goes on writing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self
from uuid import UUID

import psycopg
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent
from psycopg.sql import SQL, Composed, Identifier

from application.persistence.book_snapshots import SnapshotRecorder
from application.persistence.connection import connect
from application.persistence.partitions import Reach
from application.persistence.position import position_names
from application.persistence.recorder import EventRecorder

_ROWS_AT_A_TIME = 2_000


class Snapshot:
    """A read-only transaction in which nothing changes any more."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._connection = connection
        self._cursors = 0

    @classmethod
    @contextmanager
    def take(cls, env: Mapping[str, str]) -> Iterator[Self]:
        """``env`` is the library's."""
        with connect(env) as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cls(connection)

    def count(self, recorder: EventRecorder, topics: Sequence[str] = ()) -> int:
        """Count the events of a log; unless topics are named, all of them."""
        statement = SQL("SELECT count(*) FROM {} WHERE %s::text[] = '{{}}' OR topic = ANY(%s)")
        [row] = self.rows(statement.format(_events(recorder)), [list(topics), list(topics)])
        number: int = row["count"]
        return number

    def reach(self, recorder: Any, leader: str) -> Reach:
        """Return a follower's position in a leader's log."""
        names = position_names(recorder.datastore.schema, recorder.tracking_table_name)
        rows = self.rows(SQL("SELECT name, reached FROM {positions}()").format(**names))
        return Reach.of(leader, {row["name"]: row["reached"] for row in rows})

    def log(
        self, recorder: EventRecorder, mapper: Mapper[UUID], topics: tuple[str, ...] = ()
    ) -> Iterator[tuple[int, DomainEventProtocol[UUID]]]:
        """The events of a log in its order, each with its notification id."""
        rows = self.rows(
            SQL(
                "SELECT * FROM {} WHERE %s::text[] = '{{}}' OR topic = ANY(%s)"
                " ORDER BY notification_id"
            ).format(_events(recorder)),
            [list(topics), list(topics)],
        )
        return _entries(rows, mapper)

    def log_at(
        self, recorder: EventRecorder, mapper: Mapper[UUID], positions: Sequence[int]
    ) -> Iterator[tuple[int, Any]]:
        """Return the events at these places of a log."""
        statement = SQL("SELECT * FROM {} WHERE notification_id = ANY(%s)")
        rows = self.rows(statement.format(_events(recorder)), [list(positions)])
        return _entries(rows, mapper)

    def log_since(
        self, recorder: EventRecorder, snapshots: SnapshotRecorder, mapper: Mapper[UUID]
    ) -> Iterator[tuple[int, Any]]:
        """The part of a log that comes after the newest snapshots of its aggregates."""
        statement = SQL("SELECT event.* {} ORDER BY notification_id")
        return _entries(self.rows(statement.format(_since(recorder, snapshots))), mapper)

    def count_since(self, recorder: EventRecorder, snapshots: SnapshotRecorder) -> int:
        """Count the events of that part."""
        [row] = self.rows(SQL("SELECT count(*) {}").format(_since(recorder, snapshots)))
        number: int = row["count"]
        return number

    def versions_kept(self, snapshots: SnapshotRecorder) -> set[tuple[UUID, int]]:
        """Of which aggregates, at which versions, there are snapshots."""
        statement = SQL("SELECT originator_id, originator_version FROM {}")
        rows = self.rows(statement.format(_events(snapshots)))
        return {(row["originator_id"], row["originator_version"]) for row in rows}

    def kept(
        self, snapshots: SnapshotRecorder, mapper: Mapper[UUID], aggregate: UUID, version: int
    ) -> Any | None:
        """The snapshot of an aggregate at a version, if there is one."""
        statement = SQL("SELECT * FROM {} WHERE originator_id = %s AND originator_version = %s")
        for row in self.rows(statement.format(_events(snapshots)), [aggregate, version]):
            return mapper.to_domain_event(_stored(row))
        return None

    def rows(self, statement: Any, parameters: Any = None) -> Iterator[dict[str, Any]]:
        """Yield rows one by one, however many there are."""
        self._cursors += 1
        with self._connection.cursor(name=f"snapshot_{self._cursors}") as cursor:
            cursor.itersize = _ROWS_AT_A_TIME
            cursor.execute(statement, parameters)
            yield from cursor


def _entries(
    rows: Iterable[Mapping[str, Any]], mapper: Mapper[UUID]
) -> Iterator[tuple[int, DomainEventProtocol[UUID]]]:
    for row in rows:
        yield row["notification_id"], mapper.to_domain_event(_stored(row))


def _stored(row: Mapping[str, Any]) -> StoredEvent:
    return StoredEvent(
        row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"])
    )


def _since(recorder: EventRecorder, snapshots: SnapshotRecorder) -> Composed:
    return SQL(
        """FROM {} AS event LEFT JOIN (
            SELECT originator_id, max(originator_version) AS version FROM {} GROUP BY originator_id
        ) AS newest USING (originator_id)
        WHERE originator_version > coalesce(version, -1)"""
    ).format(_events(recorder), _events(snapshots))


def _events(recorder: EventRecorder | SnapshotRecorder) -> Identifier:
    return Identifier(recorder.datastore.schema, recorder.events_table_name)
