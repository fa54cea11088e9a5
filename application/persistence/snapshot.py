"""Reading logs, positions and rows as of one moment, while everybody goes on writing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self
from uuid import UUID

import psycopg
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent
from psycopg.sql import SQL, Identifier

from application.persistence.connection import connect
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

    def count(self, recorder: EventRecorder) -> int:
        """How many events a log has."""
        [row] = self.rows(SQL("SELECT count(*) FROM {}").format(_events(recorder)))
        number: int = row["count"]
        return number

    def position(self, recorder: Any, leader: str) -> int:
        """How far a follower has come in its leader's log; 0: nowhere yet."""
        table = Identifier(recorder.datastore.schema, recorder.tracking_table_name)
        rows = list(
            self.rows(
                SQL("SELECT notification_id FROM {} WHERE application_name = %s").format(table),
                [leader],
            )
        )
        return rows[0]["notification_id"] if rows else 0

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
        for row in rows:
            stored = StoredEvent(
                row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"])
            )
            yield row["notification_id"], mapper.to_domain_event(stored)

    def rows(self, statement: Any, parameters: Any = None) -> Iterator[dict[str, Any]]:
        """Rows one by one, however many there are."""
        self._cursors += 1
        with self._connection.cursor(name=f"snapshot_{self._cursors}") as cursor:
            cursor.itersize = _ROWS_AT_A_TIME
            cursor.execute(statement, parameters)
            yield from cursor


def _events(recorder: EventRecorder) -> Identifier:
    return Identifier(recorder.datastore.schema, recorder.events_table_name)
