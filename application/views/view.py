"""What all views share: a follower that turns batches of events into rows.

A view has a schema of its own in PostgreSQL, with its tables and its position in its
leader's log, and nothing else; so that it can be built anew beside the living one, and the
two swapped by name. Its rows and its position are written in one transaction.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import msgspec
from eventsourcing.persistence import Notification, ProcessRecorder, StoredEvent, Subscription
from eventsourcing.postgres import PostgresFactory, PostgresTrackingRecorder
from psycopg import Cursor
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Json

from application.persistence.connection import living_connection
from application.persistence.following import BatchFollower
from application.persistence.log import Entry
from application.persistence.position import Advance, advance, check_advanced


class ViewRecorder(PostgresTrackingRecorder, ProcessRecorder):
    """The tables of a view. The library wants a ProcessRecorder; there are no events in it."""

    tables: ClassVar[tuple[str, ...]]  # CREATE statements; {schema} stands for the view's own

    def __init__(self, datastore: Any, **names: Any) -> None:
        super().__init__(datastore, **names)
        self._statements: dict[str, bytes] = {}  # composed once
        self.sql_create_statements.extend(
            SQL(statement).format(schema=Identifier(self.datastore.schema))
            for statement in (*self.tables, _PARKED_TABLE)
        )

    @property
    def channel_name(self) -> str:
        """Where the view says that it has moved on."""
        # With the schema: one that is built anew, beside this one, is not this one.
        return f"{self.datastore.schema}.{self.tracking_table_name}"

    def sql(self, statement: str) -> Any:
        """A statement for the schema in which this view lives."""
        if statement not in self._statements:
            composed = SQL(statement).format(
                schema=Identifier(self.datastore.schema),
                tracking=Identifier(self.datastore.schema, self.tracking_table_name),
                channel=Identifier(self.channel_name),
            )
            self._statements[statement] = composed.as_bytes()
        return self._statements[statement]

    def create_table(self) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(self.sql("CREATE SCHEMA IF NOT EXISTS {schema}"))
        super().create_table()

    def write(self, entries: Sequence[Entry], move: Advance) -> None:
        """Applies a batch of events, and moves the position, or does nothing at all.

        The commit does not wait for the disk: rows and position are lost together, so that
        after a crash work is only repeated.

        Whatever is raised, the pool rolls back when it gets the connection back.
        """
        with living_connection(self.datastore) as connection, connection.cursor() as cursor:
            cursor.execute(
                SQL(_BEGIN) + advance(self.datastore.schema, self.tracking_table_name, move)
            )
            check_advanced(cursor, move)
            self.apply(cursor, entries)
            cursor.execute(self.sql(_COMMIT) % move.notification_id)

    def apply(self, cursor: Cursor[Any], entries: Sequence[Entry]) -> None:
        """Turns events into rows; ``entries`` are events with their place in the leader's log."""
        raise NotImplementedError

    def insert(
        self, cursor: Cursor[Any], table: str, types: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Inserts rows, each in the order of the table's columns, which have these types."""
        if not rows:
            return
        with cursor.copy(self.sql(f"COPY {{schema}}.{table} FROM STDIN (FORMAT BINARY)")) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def change(self, cursor: Cursor[Any], statement: str, rows: Sequence[dict[str, Any]]) -> None:
        """Executes a statement that reads ``rows`` by json_to_recordset; a missing key is NULL.

        The same as arrays for unnest takes PostgreSQL as long, and Python twice as long.
        """
        if rows:
            cursor.execute(self.sql(statement), [Json(rows, dumps=msgspec.json.encode)])

    def park(self, reason: str) -> None:
        """Remembers, for whoever asks whether the view works, what it can't apply, and why."""
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(self.sql("DELETE FROM {schema}.parked"))
            cursor.execute(self.sql("INSERT INTO {schema}.parked VALUES (%s)"), [reason])

    def parked(self) -> str | None:
        """What the view stands before and can't apply, and why; None: it works."""
        rows = self.query(self.sql("SELECT reason FROM {schema}.parked"), {})
        return rows[0]["reason"] if rows else None

    def max_tracking_id(self, application_name: str) -> int | None:
        """Without the library's retries, see EventRecorder."""
        rows = self.query(self.sql(_POSITION), {"leader": application_name})
        position: int | None = rows[0]["max"]
        return position

    def query(self, statement: Any, parameters: dict[str, Any]) -> list[Any]:
        """Rows, as dictionaries.

        Planned anew each time (50 us): a plan that is kept may have been made for tables that
        were nearly empty, see _BEGIN.
        """
        with living_connection(self.datastore) as connection:
            return connection.execute(statement, parameters, prepare=False).fetchall()

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        raise NotImplementedError

    def select_events(self, *args: Any, **kwargs: Any) -> Sequence[StoredEvent]:
        raise NotImplementedError

    def select_notifications(self, *args: Any, **kwargs: Any) -> Sequence[Notification]:
        raise NotImplementedError

    def max_notification_id(self) -> int | None:
        raise NotImplementedError

    def subscribe(self, *args: Any, **kwargs: Any) -> Subscription[Any]:
        raise NotImplementedError


# Statements that go together take one round trip. The planner may only look up row by row:
# left alone it reads a small table whole, and keeps to that plan while the table grows, until
# there are statistics; a batch of one event then takes 100 ms where there are 300 000 orders.
_BEGIN = """BEGIN;
    SET LOCAL synchronous_commit TO off;
    SET LOCAL enable_seqscan TO off;
    SET LOCAL enable_hashjoin TO off;
    SET LOCAL enable_mergejoin TO off;
    """

# The position goes as the payload, as EventRecorder has it.
_COMMIT = "DELETE FROM {schema}.parked; COMMIT; NOTIFY {channel}, ':%d'"

_POSITION = "SELECT max(notification_id) FROM {tracking} WHERE application_name = %(leader)s"

_PARKED_TABLE = "CREATE TABLE IF NOT EXISTS {schema}.parked (reason text NOT NULL)"


class View(BatchFollower):
    """A follower whose batches become rows."""

    recorder: ViewRecorder
    recorder_class: ClassVar[type[ViewRecorder]]

    def construct_recorder(self) -> ViewRecorder:
        factory = cast("PostgresFactory", self.factory)
        return factory.tracking_recorder(self.recorder_class)

    def process_entries(self, entries: Sequence[Entry], move: Advance) -> int:
        self.recorder.write(entries, move)
        return move.notification_id
