"""The recorder of Orders and Matching: events and position in one transaction.

The library retries each of its calls ten times, which keeps a caller for 12 s while
PostgreSQL is away. Who calls this recorder has a better idea of what to do: a request is
answered with 503, a follower reads its position again. So the retries come off.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import Notification, OperationalError, StoredEvent, Tracking
from eventsourcing.postgres import PostgresProcessRecorder
from psycopg.sql import SQL, Identifier

from application.persistence.connection import AWAY
from application.persistence.position import Advance, advance


class CommitUnknown(OperationalError):
    """The connection was lost during the commit: the events may be stored, or not."""


class EventRecorder(PostgresProcessRecorder):
    """Named to the library by PROCESS_RECORDER_TOPIC."""

    select_events = PostgresProcessRecorder.select_events.__wrapped__
    select_notifications = PostgresProcessRecorder.select_notifications.__wrapped__
    max_notification_id = PostgresProcessRecorder.max_notification_id.__wrapped__
    max_tracking_id = PostgresProcessRecorder.max_tracking_id.__wrapped__

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        tracking: Tracking | None = None,
        **_: Any,
    ) -> Sequence[int]:
        """Records events and, for a follower, its position; then wakes who listens.

        Overridden whole for three reasons: the position moves by compare-and-set; a lost
        commit is told apart from a failed one; and NOTIFY comes after the commit, in a
        transaction of its own: inside, it holds an instance-wide lock through the flush.
        In a pipeline all of it takes two round trips: up to the answers, and the commit.

        Raises IntegrityError (a version taken, a position moved), CommitUnknown,
        OperationalError (PostgreSQL is away).
        """
        committing = False
        try:
            with (
                self.datastore.get_connection() as connection,
                connection.pipeline() as pipeline,
            ):
                with connection.transaction():
                    check_position = self._move(connection, tracking)
                    inserted = self._insert(connection, stored_events)
                    pipeline.sync()
                    check_position()
                    rows = inserted.fetchall() if inserted else []
                    committing = True
                connection.execute(SQL("NOTIFY {}").format(Identifier(self.channel_name)))
        except AWAY as error:
            if committing:
                raise CommitUnknown(str(error)) from error
            raise
        return [row["notification_id"] for row in rows]

    def select_trail(self, originator_ids: Sequence[UUID]) -> list[Notification]:
        """The events of several aggregates together, in the order of the log."""
        statement = SQL(
            "SELECT * FROM {} WHERE originator_id = ANY(%s) ORDER BY notification_id"
        ).format(Identifier(self.datastore.schema, self.events_table_name))
        with self.datastore.get_connection() as connection:
            rows = connection.execute(statement, [list(originator_ids)]).fetchall()
        return [
            Notification(
                id=row["notification_id"],
                originator_id=row["originator_id"],
                originator_version=row["originator_version"],
                topic=row["topic"],
                state=bytes(row["state"]),
            )
            for row in rows
        ]

    def _move(
        self, connection: psycopg.Connection[Any], tracking: Tracking | None
    ) -> Callable[[], None]:
        if tracking is None:
            return lambda: None
        if not isinstance(tracking, Advance):
            raise TypeError("a position is moved from where it was seen: see Advance")
        return advance(connection, self.datastore.schema, self.tracking_table_name, tracking)

    def _insert(
        self, connection: psycopg.Connection[Any], stored_events: Sequence[StoredEvent]
    ) -> psycopg.Cursor[Any] | None:
        if not stored_events:
            return None
        cursor = connection.cursor()
        # The table lock keeps commits in the order of their ids: nobody who reads the log
        # ever passes over a gap that is filled later.
        self._lock_table(cursor)
        rows = [
            self.construct_pg_stored_event(
                event.originator_id, event.originator_version, event.topic, event.state
            )
            for event in stored_events
        ]
        return cursor.execute(self.insert_events_statement, (rows,))
