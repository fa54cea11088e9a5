"""The base of all views: a follower that turns batches of events into rows.

A view has a schema of its own in PostgreSQL, with its tables and its position in its
leader's log, and nothing else; so that a new one can be built next to the living one, and the
two swapped by name. Its rows and its position are written in one transaction.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, cast

import msgspec
from eventsourcing.persistence import Notification, ProcessRecorder, StoredEvent, Subscription
from eventsourcing.postgres import PostgresFactory, PostgresTrackingRecorder
from psycopg import ClientCursor
from psycopg.sql import SQL, Composed, Identifier, Literal

from application.persistence.connection import living_connection, long_read
from application.persistence.following import BatchFollower
from application.persistence.guards import GUARD, VERSION_PARAMETER
from application.persistence.log import Entry
from application.persistence.migrations import SCHEMA_VERSION, Part, make, of_library
from application.persistence.partitions import FLOOR, REACH
from application.persistence.position import (
    ADVANCE,
    ADVANCE_PARAMETERS,
    POSITION_FUNCTIONS,
    Advance,
    keep_positions,
    position_names,
)
from application.persistence.retired import outdated_write, retired_write
from application.persistence.schemas import qualified
from application.persistence.unit_of_work import Call, transact

Rows = Sequence[dict[str, Any]]


class ViewRecorder(PostgresTrackingRecorder, ProcessRecorder):
    """The tables of a view. The library wants a ProcessRecorder; there are no events in it."""

    # CREATE statements, and such as bring what an earlier release has made up to date; {schema}
    # stands for the view's own, {name} for its name as text.
    tables: ClassVar[tuple[str, ...]]
    # Statements for a batch's rows of a name, in this order; {rows} stands for them, as JSON for
    # json_to_recordset, where a missing key is NULL. (Arrays for unnest take PostgreSQL as long,
    # and Python twice as long.)
    steps: ClassVar[Mapping[str, str]] = {}
    # Tables that get a batch's rows of their name, after the steps.
    inserts: ClassVar[tuple[str, ...]]
    # The leader in whose log others are told the position: the first by name, as positions move in
    # the order of names.
    told: ClassVar[str] = "Matching"
    # The number of kinds of rows that the first release wrote: see ``retired_write``.
    retired_tables: ClassVar[int]

    def __init__(self, datastore: Any, **names: Any) -> None:
        super().__init__(datastore, **names)
        self._statements: dict[str, bytes] = {}  # composed once
        schema = self.datastore.schema
        keep_positions(self)
        self.sql_create_statements.extend(
            SQL(statement).format(schema=Identifier(schema), name=Literal(schema))
            for statement in (*self.tables, _PARKED_TABLE, _PARKED_IDENTITY)
        )
        self.sql_create_statements += [
            self.write_function(schema),
            retired_write(schema, self.tracking_table_name, self.retired_tables),
            outdated_write(schema, len(self.steps) + len(self.inserts)),
        ]
        self._names = (*self.steps, *self.inserts)
        arrays = [str(SCHEMA_VERSION), "%s", "%s::text[]", "%s::bigint[]", "%s::bigint[]"]
        places = ", ".join([*arrays, *["%s::json"] * len(self._names)])
        self._write = self.sql(f"{{schema}}.write({places})").decode()
        self.locks = f"a lock of the view {schema} took too long"

    @property
    def channel_name(self) -> str:
        """Return the channel on which the view notifies of its position."""
        return self._channel_name(self.datastore.schema)

    def _channel_name(self, schema: str) -> str:
        # The schema tells this view from a new one that is built meanwhile.
        return qualified(schema, self.tracking_table_name)

    def sql(self, statement: str) -> Any:
        """A statement for the schema in which this view lives."""
        if statement not in self._statements:
            composed = SQL(statement).format(
                schema=Identifier(self.datastore.schema),
                **position_names(self.datastore.schema, self.tracking_table_name),
            )
            self._statements[statement] = composed.as_bytes()
        return self._statements[statement]

    def part(self) -> Part:
        """Return the tables of this view, and what writes them."""
        return Part(
            self.datastore.schema,
            (
                self.tracking_table_name,
                *_TABLE_NAME.findall("".join((*self.tables, _PARKED_TABLE))),
            ),
            {SCHEMA_VERSION: of_library(self.sql_create_statements)},
        )

    def create_table(self) -> None:
        with self.datastore.get_connection() as connection:
            make(connection, self.part())

    def call(self, entries: Sequence[Entry], move: Advance, *, is_alone: bool = True) -> Call:
        """Return the call that applies a batch of events, and moves the position.

        ``is_alone``: in a transaction that does nothing else. Such a commit does not wait for the
        disk, as rows and position are lost together, so that after a crash work is only
        repeated; and NOTIFY may be inside for the same reason. What is told is the position in
        Matching's log.
        """
        changes = self.changes(entries)
        rows = [_json(changes[name]) if changes.get(name) else None for name in self._names]
        return Call(self._write, (is_alone, *move.arguments, *rows))

    def changes(self, entries: Sequence[Entry]) -> dict[str, Rows]:
        """Return the changes of rows by events, by the names of steps and tables.

        ``entries`` are events with their place in the leader's log.
        """
        raise NotImplementedError

    def write_function(self, schema: str) -> Composed:
        """Return the statement for the function that writes a batch into a schema's tables.

        The planner may only look up row by row: left alone it reads a small table whole, and
        keeps to that plan while the table grows, until there are statistics; a batch of one
        event then takes 100 ms where there are 300 000 orders.
        """
        named = {
            "schema": Identifier(schema),
            **position_names(schema, self.tracking_table_name),
        }
        steps = [
            *self.steps.values(),
            *(_INSERT.replace("{table}", table) for table in self.inserts),
        ]
        return SQL(_FUNCTION).format(
            **named,
            channel=Literal(self._channel_name(schema)),
            parameters=SQL(", ").join(map(SQL, [*_PARAMETERS, *["json"] * len(steps)])),
            guard=SQL(GUARD),
            advance=SQL(ADVANCE).format(**named),
            told=Literal(self.told),
            reach=SQL(_REACH).format(**named, leader=Literal(self.told)),
            parked_in=SQL(_PARKED_IN.replace("%(names)s", "names")).format(**named),
            steps=SQL("\n").join(
                SQL("IF {rows} IS NOT NULL THEN " + step + "; END IF;").format(
                    **named, rows=SQL(f"${place}")
                )
                for place, step in enumerate(steps, start=len(_PARAMETERS) + 1)
            ),
        )

    def functions(self, schema: str) -> list[Composed]:
        """Return the statements for all functions of this view in a schema."""
        names = position_names(schema, self.tracking_table_name)
        positions = [SQL(function).format(**names) for function in POSITION_FUNCTIONS]
        return [*positions, self.write_function(schema)]

    def park(self, reason: str) -> bool:
        """Record which event the view can't apply, and why, for ``/ready`` and ``ome verify``.

        ``reason`` begins with the leader, or the part of its log in which the view can't go on.
        False: it is recorded already.
        """
        reason = reason.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL takes no other
        leader = reason.split(" ", 1)[0]
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(self.sql(_IS_PARKED), {"reason": reason})
            if cursor.fetchone():
                return False
            cursor.execute(self.sql(f"DELETE {_PARKED_IN}"), {"names": [leader]})
            cursor.execute(self.sql("INSERT INTO {schema}.parked VALUES (%s)"), [reason])
        return True

    def parked(self) -> str | None:
        """Return which event the view can't apply, and why; None: it works."""
        rows = self.query(self.sql("SELECT reason FROM {schema}.parked ORDER BY reason"), {})
        return "; ".join(row["reason"] for row in rows) or None

    def max_tracking_id(self, application_name: str) -> int | None:
        """Without the library's retries, see EventRecorder."""
        rows = self.query(self.sql(_POSITION), {"leader": application_name})
        position: int | None = rows[0]["min"]
        return position

    def query(self, statement: Any, parameters: dict[str, Any]) -> list[Any]:
        """Return rows, as dictionaries.

        Planned anew each time (50 us): a plan that is kept may have been made for tables that
        were nearly empty, see ``write_function``.
        """
        with living_connection(self.datastore) as connection:
            return connection.execute(statement, parameters, prepare=False).fetchall()

    def query_in_order(self, statement: bytes, parameters: dict[str, Any]) -> list[Any]:
        """Return the rows of a page, read along an index from where the page begins.

        The planner may do nothing else: without statistics, or with old ones, it expects few
        rows, and reads and sorts all that there are, which takes a second where there are a
        million. One round trip, and the settings end with it.
        """
        with (
            long_read(self.datastore),
            living_connection(self.datastore) as connection,
            ClientCursor(connection) as cursor,
        ):
            cursor.execute(ALONG_AN_INDEX + statement, parameters)
            cursor.nextset()
            return cursor.fetchall()

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


def _json(rows: Rows) -> str:
    """Leave out what is null: PostgreSQL takes a quarter longer for a new order's row with it."""
    known = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return msgspec.json.encode(known).decode()


_PARAMETERS: Final = [VERSION_PARAMETER, "is_alone boolean", *ADVANCE_PARAMETERS.split(", ")]

_FUNCTION: Final = """CREATE OR REPLACE FUNCTION {schema}.write({parameters})
    RETURNS void LANGUAGE plpgsql
    SET enable_seqscan TO off SET enable_hashjoin TO off SET enable_mergejoin TO off AS $$
DECLARE
    affected bigint;
BEGIN
    {guard}
    IF is_alone THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    {advance}
    {steps}
    DELETE {parked_in};
    IF is_alone AND split_part(names[1], '#', 1) = {told} THEN
        PERFORM pg_notify({channel}, ':' || ({reach}));
    END IF;
END $$"""

# A follower that has one position has just moved it; only those of partitions have to be read.
_REACH: Final = f"""CASE WHEN strpos(names[1], '#') = 0 THEN upto[1]::text
    ELSE ({REACH}) END"""

_INSERT: Final = """INSERT INTO {schema}.{table}
    SELECT * FROM json_populate_recordset(NULL::{schema}.{table}, {rows})"""

ALONG_AN_INDEX: Final = b"""SELECT set_config(name, 'off', true) FROM unnest(
    '{enable_sort, enable_bitmapscan, enable_seqscan, enable_hashjoin, enable_mergejoin}'::text[]
) AS name; """

# It is tried again; meanwhile the engine may write the view's rows with everything else.
_WAIT: Final = Call("set_config('lock_timeout', %s, true)", ["1s"])

_POSITION = FLOOR.replace("{leader}", "%(leader)s")

_TABLE_NAME: Final = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?\{schema\}\.(\w+)")

_PARKED_TABLE = "CREATE TABLE IF NOT EXISTS {schema}.parked (reason text NOT NULL)"
# A table without a primary key, as this one, can't be deleted from while an operator publishes all
# tables for logical replication (CREATE PUBLICATION ... FOR ALL TABLES).
_PARKED_IDENTITY = "ALTER TABLE {schema}.parked REPLICA IDENTITY FULL"

_IS_PARKED = "SELECT reason FROM {schema}.parked WHERE reason = %(reason)s"

# A view is parked in a leader's log or in a partition of it, which the reason names. It is no
# longer parked once it moves its position there, in the partition or in the whole log.
_PARKED_IN = """FROM {schema}.parked WHERE EXISTS (
    SELECT FROM unnest(%(names)s::text[]) AS name
    WHERE starts_with(split_part(reason, ' ', 1) || '#', name || '#')
    OR starts_with(name || '#', split_part(reason, ' ', 1) || '#'))"""


class View(BatchFollower):
    """A follower whose batches become rows."""

    recorder: ViewRecorder
    recorder_class: ClassVar[type[ViewRecorder]]

    def construct_recorder(self) -> ViewRecorder:
        factory = cast("PostgresFactory", self.factory)
        return factory.tracking_recorder(self.recorder_class)

    def process_entries(self, entries: Sequence[Entry], move: Advance) -> None:
        calls = [_WAIT, self.recorder.call(entries, move)]
        transact(self.recorder.datastore, calls, self.recorder.locks)
