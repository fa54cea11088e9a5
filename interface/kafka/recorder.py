"""Where a publisher is, and what it has sent to which topics."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
from eventsourcing.persistence import Notification, ProcessRecorder, StoredEvent, Subscription
from eventsourcing.postgres import PostgresTrackingRecorder
from psycopg.sql import SQL, Identifier, Literal

from application.persistence.connection import living_connection
from application.persistence.guards import GUARD, VERSION_PARAMETER, recording
from application.persistence.migrations import SCHEMA_VERSION
from application.persistence.partitions import NOTHING, Published
from application.persistence.position import (
    ADVANCE,
    ADVANCE_PARAMETERS,
    ALL_POSITIONS,
    BLOCK,
    Advance,
    keep_positions,
    position_names,
)
from application.persistence.retired import retired_advance
from interface.kafka.topics import Found, OtherPartitions

SCHEMA: Final = "publisher"  # in which every publisher has its tables

Ends = Mapping[str, list[int]]  # by topic: the position of the last event in each partition


# A position belongs to topics, told apart by their ids: another topic of the same name, made
# anew or on another cluster, has nothing of what was sent.
_TABLES: Final = (
    # ``ends`` is what an earlier release has sent; later ones have it in ``sent``.
    """CREATE TABLE IF NOT EXISTS {schema}.destinations (
        leader text PRIMARY KEY,
        topics jsonb NOT NULL,
        ends jsonb NOT NULL
    )""",
    # A row for each position, as in the table of positions.
    """CREATE TABLE IF NOT EXISTS {schema}.sent (
        leader text,
        position bigint,
        ends jsonb NOT NULL,
        PRIMARY KEY (leader, position)
    ) WITH (
        autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
        vacuum_truncate = off
    )""",
)
_DESTINATION: Final = """SELECT topics, reached AS position,
    CASE WHEN reached IS NULL THEN '{{}}' ELSE coalesce(sent.ends, destinations.ends) END AS ends
    FROM {schema}.destinations LEFT JOIN {positions}() ON name = leader
    LEFT JOIN {schema}.sent ON sent.leader = destinations.leader AND sent.position = reached
    WHERE destinations.leader = %s"""
# In a transaction that nobody who moves the position is in the middle of.
_ADOPT: Final = """CREATE OR REPLACE FUNCTION {adopt}({version}, whose text, wanted jsonb)
        RETURNS void LANGUAGE plpgsql AS $$
    BEGIN {guard}
        PERFORM pg_advisory_xact_lock({all});
        WITH adopted AS (
            INSERT INTO {schema}.destinations VALUES (whose, wanted, '{{}}')
            ON CONFLICT (leader) DO UPDATE SET topics = excluded.topics, ends = excluded.ends
            WHERE destinations.topics <> excluded.topics RETURNING leader
        ), forgotten AS (
            DELETE FROM {schema}.sent WHERE leader IN (SELECT leader FROM adopted)
        )
        DELETE FROM {tracking} WHERE application_name IN (SELECT leader FROM adopted);
    END $$""".replace("{guard}", GUARD).replace("{all}", ALL_POSITIONS)
_ADOPT_CALL: Final = f"SELECT {{adopt}}({SCHEMA_VERSION}, %s, %s)"
# The commit does not wait for the disk: what a crash takes is sent again. That is also why
# NOTIFY may be inside. Nobody adopts other topics once the position is moved: see ``adopt``.
_ADVANCE: Final = (
    """CREATE OR REPLACE FUNCTION
        {advance}({parameters}, sent_to jsonb, sent jsonb, told text)
        RETURNS void LANGUAGE plpgsql SET enable_seqscan TO off AS $$
    BEGIN {guard}
        PERFORM set_config('synchronous_commit', 'off', true);
        {positions}
        IF NOT EXISTS (
            SELECT FROM {schema}.destinations WHERE leader = names[1] AND topics = sent_to
        ) THEN
            RAISE EXCEPTION 'it is published to other topics now'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        INSERT INTO {schema}.sent VALUES (names[1], upto[1], sent)
            ON CONFLICT (leader, position) DO UPDATE SET ends = excluded.ends;
        IF since[1] / {block} < upto[1] / {block} THEN
            DELETE FROM {schema}.sent WHERE leader = names[1]
            AND position >= since[1] / {block} * {block} AND position < upto[1];
        END IF;
        PERFORM pg_notify({channel}, told);
    END $$""".replace("{guard}", GUARD)
    .replace("{positions}", ADVANCE)
    .replace("{block}", str(BLOCK))
)
_ADVANCE_CALL: Final = (
    f"SELECT {{advance}}({SCHEMA_VERSION}, %s::text[], %s::bigint[], %s::bigint[], %s, %s, %s)"
)
_MOST_ENDS: Final = 380  # in a NOTIFY, as in partitions.REACH


class Place(NamedTuple):
    """Where a publisher goes on: its position, and what is sent up to there."""

    position: int | None
    ends: Ends
    is_anew: bool = False  # the topics are others than before


def destination(datastore: Any, leader: str) -> dict[str, Found]:
    """To which topics a leader's log is published from this database; none: to none yet."""
    statement = SQL("SELECT topics FROM {}.destinations WHERE leader = %s")
    with living_connection(datastore) as connection:
        try:
            rows = connection.execute(statement.format(Identifier(SCHEMA)), [leader]).fetchall()
        except psycopg.errors.UndefinedTable:
            return {}
    return msgspec.convert(rows[0]["topics"] if rows else {}, dict[str, Found])


def published_upto(datastore: Any, leader: str) -> int:
    """Up to where a leader's log is published from this database, as Kafka has confirmed."""
    table = Identifier(SCHEMA, f"{leader.lower()}publisher_tracking")
    statement = SQL("SELECT max(notification_id) FROM {} WHERE application_name = %s")
    with living_connection(datastore) as connection:
        try:
            [row] = connection.execute(statement.format(table), [leader]).fetchall()
        except psycopg.errors.UndefinedTable:
            return 0
    return row["max"] or 0


class PublisherRecorder(PostgresTrackingRecorder, ProcessRecorder):
    """A position, and what belongs to it."""

    def __init__(self, datastore: Any, **names: Any) -> None:
        super().__init__(datastore, **names)
        keep_positions(self)
        self.sql_create_statements += [
            *map(self._sql, (*_TABLES, _ADOPT, _ADVANCE)),
            retired_advance(self.datastore.schema, self.tracking_table_name),
        ]

    @property
    def channel_name(self) -> str:
        """Where it is told what is published."""
        return f"{self.datastore.schema}.{self.tracking_table_name}"

    def create_table(self) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(self._sql("CREATE SCHEMA IF NOT EXISTS {schema}"))
        super().create_table()

    def adopt(self, leader: str, topics: Mapping[str, Found]) -> Place:
        """Has the position belong to ``topics``: if they are others, from the beginning.

        Raises OtherPartitions where one of them is the same, but for its partitions.
        """
        with living_connection(self.datastore) as connection:
            rows = connection.execute(self._sql(_DESTINATION), [leader]).fetchall()
            known = msgspec.convert(rows[0]["topics"] if rows else {}, dict[str, Found])
            for name, (identifier, partitions) in topics.items():
                before = known.get(name)
                if before and before.id == identifier and before.partitions != partitions:
                    raise OtherPartitions(name, partitions, before.partitions)
            if known == topics:
                return Place(rows[0]["position"], rows[0]["ends"])
            recording(
                connection,
                lambda: connection.execute(self._sql(_ADOPT_CALL), [leader, _json(topics)]),
                f"the position of the publisher of {leader} took too long",
            )
            return Place(None, {}, is_anew=bool(rows))

    def advance(self, move: Advance, topics: Mapping[str, Found], ends: Ends, log: str) -> None:
        """Moves the position, and tells of it; ``log`` is the topic that has all events.

        Raises PositionMoved, also where it belongs to other topics, or SchemaOutdated.
        """
        told = f"{move.notification_id}:"
        if len(ends[log]) <= _MOST_ENDS:
            told += ",".join(map(str, ends[log]))
        arguments = [*move.arguments, _json(topics), _json(ends), told]
        statement = self._sql(_ADVANCE_CALL)
        with living_connection(self.datastore) as connection:
            recording(
                connection,
                lambda: connection.execute(statement, arguments),
                f"the position of the publisher of {move.application_name} took too long",
            )

    def published(self, leader: str, log: str) -> Published:
        """What is published of a leader's log, to the topic that has all of its events."""
        with living_connection(self.datastore) as connection:
            rows = connection.execute(self._sql(_DESTINATION), [leader]).fetchall()
        if not rows or rows[0]["position"] is None:
            return NOTHING
        return Published(rows[0]["position"], rows[0]["ends"][log])

    def max_tracking_id(self, application_name: str) -> int | None:
        """Without the library's retries, see EventRecorder."""
        statement = "SELECT max(notification_id) FROM {tracking} WHERE application_name = %s"
        with living_connection(self.datastore) as connection:
            [row] = connection.execute(self._sql(statement), [application_name]).fetchall()
        position: int | None = row["max"]
        return position

    def _sql(self, statement: str) -> Any:
        schema = self.datastore.schema
        return SQL(statement).format(
            schema=Identifier(schema),
            **position_names(schema, self.tracking_table_name),
            advance=Identifier(schema, f"{self.tracking_table_name}_advance"),
            adopt=Identifier(schema, f"{self.tracking_table_name}_adopt"),
            version=SQL(VERSION_PARAMETER),
            parameters=SQL(f"{VERSION_PARAMETER}, {ADVANCE_PARAMETERS}"),
            channel=Literal(self.channel_name),
        )

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


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
