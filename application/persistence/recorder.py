"""The recorder of Orders and Matching: events and position in one transaction.

The library retries each of its calls ten times, which keeps a caller for 12 s while
PostgreSQL is away. Who calls this recorder has a better idea of what to do: a request is
answered with 503, a follower reads its position again. So the retries come off.
"""

from collections.abc import Sequence
from contextlib import suppress
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

        Raises IntegrityError (a version taken, a position moved), CommitUnknown,
        OperationalError (PostgreSQL is away).
        """
        committing = False
        try:
            with self.datastore.get_connection() as connection:
                with connection.transaction(), connection.cursor() as cursor:
                    if isinstance(tracking, Advance):
                        schema = self.datastore.schema
                        advance(cursor, schema, self.tracking_table_name, tracking)
                    elif tracking is not None:
                        self._insert_tracking(cursor, tracking)
                    ids = self._insert(cursor, stored_events)
                    committing = True
                committing = False
                with suppress(psycopg.Error):  # who misses it looks by itself within a second
                    connection.execute(SQL("NOTIFY {}").format(Identifier(self.channel_name)))
        except AWAY as error:
            if committing:
                raise CommitUnknown(str(error)) from error
            raise
        return ids

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

    def _insert(
        self, cursor: psycopg.Cursor[Any], stored_events: Sequence[StoredEvent]
    ) -> list[int]:
        if not stored_events:
            return []
        # The table lock keeps commits in the order of their ids: nobody who reads the log
        # ever passes over a gap that is filled later.
        self._lock_table(cursor)
        rows = [
            self.construct_pg_stored_event(
                event.originator_id, event.originator_version, event.topic, event.state
            )
            for event in stored_events
        ]
        cursor.execute(self.insert_events_statement, (rows,))
        return [row["notification_id"] for row in cursor.fetchall()]
