"""The position of a publisher, and what it has sent to which topics."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
from eventsourcing.persistence import Notification, ProcessRecorder, StoredEvent, Subscription
from eventsourcing.postgres import PostgresTrackingRecorder
from psycopg.sql import SQL, Identifier

from application.persistence.connection import living_connection
from application.persistence.guards import recording
from application.persistence.migrations import SCHEMA_VERSION
from application.persistence.partitions import NOTHING, Published
from application.persistence.position import Advance, keep_positions
from application.persistence.publisher_tables import publisher_names
from application.persistence.schemas import qualified
from interface.kafka.topics import Found, OtherPartitions

Ends = Mapping[str, list[int]]  # by topic: the position of the last event in each partition


_DESTINATION: Final = """SELECT topics, reached AS position,
    CASE WHEN reached IS NULL THEN '{{}}' ELSE coalesce(sent.ends, destinations.ends) END AS ends
    FROM {schema}.destinations LEFT JOIN {positions}() ON name = leader
    LEFT JOIN {schema}.sent ON sent.leader = destinations.leader AND sent.position = reached
    WHERE destinations.leader = %s"""
_ADOPT_CALL: Final = f"SELECT {{adopt}}({SCHEMA_VERSION}, %s, %s)"
_ADVANCE_CALL: Final = (
    f"SELECT {{advance}}({SCHEMA_VERSION}, %s::text[], %s::bigint[], %s::bigint[], %s, %s, %s)"
)
_MOST_ENDS: Final = 380  # in a NOTIFY, as in partitions.REACH


class Place(NamedTuple):
    """The state from which a publisher goes on: its position, and what is sent up to there."""

    position: int | None
    ends: Ends
    is_anew: bool = False  # the topics are others than before


def destination(datastore: Any, schema: str, leader: str) -> dict[str, Found]:
    """To which topics a leader's log is published from this market; none: to none yet.

    ``schema`` is the publishers'.
    """
    statement = SQL("SELECT topics FROM {}.destinations WHERE leader = %s")
    with living_connection(datastore) as connection:
        try:
            rows = connection.execute(statement.format(Identifier(schema)), [leader]).fetchall()
        except psycopg.errors.UndefinedTable:
            return {}
    return msgspec.convert(rows[0]["topics"] if rows else {}, dict[str, Found])


def published_upto(datastore: Any, schema: str, leader: str) -> int:
    """Up to where a leader's log is published from this market, as Kafka has confirmed."""
    table = Identifier(schema, f"{leader.lower()}publisher_tracking")
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

    @property
    def channel_name(self) -> str:
        """Return the channel of notifications of what is published."""
        return qualified(self.datastore.schema, self.tracking_table_name)

    def adopt(self, leader: str, topics: Mapping[str, Found]) -> Place:
        """Adopt ``topics`` for the position; if they are others, begin again.

        Raises OtherPartitions if one of them differs by its partitions only.
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
        """Move the position, and notify listeners; ``log`` is the topic that has all events.

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
        """Return what is published of a leader's log, to the topic that has all of its events."""
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
        names = publisher_names(self.datastore.schema, self.tracking_table_name)
        return SQL(statement).format(**names)

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
