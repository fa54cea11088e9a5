"""The publisher: a follower whose batches become messages on Kafka's topics.

Its position moves, in PostgreSQL, when the broker has confirmed everything up to it. After
whatever goes wrong it sends again from there: what comes of that is a message twice, which
its position tells, and never a gap.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any, ClassVar, Final, NamedTuple, cast

import msgspec
import psycopg
from eventsourcing.persistence import Notification, ProcessRecorder, StoredEvent, Subscription
from eventsourcing.postgres import PostgresFactory, PostgresTrackingRecorder
from eventsourcing.utils import EnvType
from psycopg.sql import SQL, Identifier

from application.persistence.connection import living_connection
from application.persistence.following import BatchFollower, CannotFollow
from application.persistence.log import Entry
from application.persistence.position import ADVANCE, Advance, PositionMoved
from application.publishing import Feed
from interface.kafka.sender import Sender
from interface.kafka.topics import Found, OtherPartitions, describe

log = logging.getLogger(__name__)


class Kafka(NamedTuple):
    """Where messages go to."""

    servers: str
    topic_prefix: str
    type_prefix: str


# A position belongs to topics, told apart by their ids: another topic of the same name, made
# anew or on another cluster, has nothing of what was sent.
_TOPICS_TABLE: Final = """CREATE TABLE IF NOT EXISTS {schema}.topics (
        leader text PRIMARY KEY,
        topics jsonb NOT NULL
    )"""
_TOPICS: Final = "SELECT topics FROM {schema}.topics WHERE leader = %s"
_ADOPT: Final = """WITH adopted AS (
        INSERT INTO {schema}.topics VALUES (%s, %s)
        ON CONFLICT (leader) DO UPDATE SET topics = excluded.topics
        WHERE topics.topics <> excluded.topics RETURNING leader
    )
    DELETE FROM {tracking} WHERE application_name IN (SELECT leader FROM adopted)"""
# The commit does not wait for the disk: what a crash takes is sent again.
_ADVANCE: Final = f"""CREATE OR REPLACE FUNCTION
        {{advance}}(leader text, since bigint, upto bigint, sent_to jsonb)
        RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('synchronous_commit', 'off', true);
        PERFORM FROM {{schema}}.topics t WHERE t.leader = $1 AND t.topics = sent_to FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'it is published to other topics now'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        {ADVANCE}
    END $$"""


class PublisherRecorder(PostgresTrackingRecorder, ProcessRecorder):
    """A position, and the topics that it belongs to."""

    def __init__(self, datastore: Any, **names: Any) -> None:
        super().__init__(datastore, **names)
        self.sql_create_statements.extend(map(self._sql, (_TOPICS_TABLE, _ADVANCE)))

    def create_table(self) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(self._sql("CREATE SCHEMA IF NOT EXISTS {schema}"))
        super().create_table()

    def adopt(self, leader: str, topics: Mapping[str, Found]) -> bool:
        """Has the position belong to ``topics``. True: to others than before, from the beginning.

        Raises OtherPartitions where one of them is the same, but for its partitions.
        """
        with living_connection(self.datastore) as connection:
            rows = connection.execute(self._sql(_TOPICS), [leader]).fetchall()
            known = msgspec.convert(rows[0]["topics"] if rows else {}, dict[str, Found])
            for name, (identifier, partitions) in topics.items():
                before = known.get(name)
                if before and before.id == identifier and before.partitions != partitions:
                    raise OtherPartitions(name, partitions, before.partitions)
            if known != topics:
                connection.execute(self._sql(_ADOPT), [leader, _json(topics)])
            return bool(rows) and known != topics

    def advance(self, move: Advance, topics: Mapping[str, Found]) -> None:
        """Moves the position. Raises PositionMoved, also where it belongs to other topics."""
        statement = self._sql("SELECT {advance}(%s, %s, %s, %s)")
        with living_connection(self.datastore) as connection:
            try:
                connection.execute(statement, [*move.arguments, _json(topics)])
            except psycopg.errors.IntegrityConstraintViolation as error:
                raise PositionMoved(str(error)) from error

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
            tracking=Identifier(schema, self.tracking_table_name),
            advance=Identifier(schema, f"{self.tracking_table_name}_advance"),
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


_LOOK_SECONDS: Final = 1.0  # between looks at whether the topics are still the same


class Publisher(BatchFollower):
    """Publishes what a feed makes of one leader's log."""

    env: ClassVar[dict[str, str]] = {"POSTGRES_SCHEMA": "publisher"}
    recorder: PublisherRecorder

    def __init__(self, env: EnvType, leader: str, feed: Feed, kafka: Kafka) -> None:
        self.name = f"{leader}Publisher"  # the library's name of its tables, so before its own
        super().__init__(env)
        self._leader = leader
        self._feed = feed
        self._kafka = kafka
        self._names = [kafka.topic_prefix + topic for topic in feed.topics]
        self._topics: dict[str, Found] = {}
        self._looked = 0.0
        self._sender: Sender | None = None
        self._interrupted = Event()

    def construct_recorder(self) -> PublisherRecorder:
        factory = cast("PostgresFactory", self.factory)
        return factory.tracking_recorder(PublisherRecorder)

    def process_batch(self, leader_name: str, limit: int | None = None) -> int:
        """As its base class's. Raises CannotFollow where Kafka is not as it must be."""
        if self._sender is not None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look_at_topics()
        if self._sender is None:
            self._sender = self._connect()
        return super().process_batch(leader_name, limit)

    def process_entries(self, entries: Sequence[Entry], move: Advance) -> None:
        sender = cast("Sender", self._sender)  # by process_batch
        sender.begin(move.since or 0)
        for position, event in entries:
            try:
                publications = self._feed.publications(position, event)
            except Exception as error:
                raise CannotFollow(f"{self._leader} {position} can't be published") from error
            for publication in publications:
                sender.send(position, publication)
        sender.finish(move.notification_id)
        self.recorder.advance(move, self._topics)

    def forget(self) -> None:
        """Discards the sender as well: whatever was wrong, the next begins at what is stored."""
        super().forget()
        if self._sender is not None:
            self._sender.discard()
            self._sender = None

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self.forget()
        super().close()

    def _look_at_topics(self) -> None:
        """Of topics that are made anew a producer notices nothing: all has to be sent again."""
        self._looked = time.monotonic()
        if describe(self._kafka.servers, self._names) != self._topics:
            self.forget()

    def _connect(self) -> Sender:
        servers, topic_prefix, type_prefix = self._kafka
        self._topics = describe(servers, self._names)
        self._looked = time.monotonic()
        for name in self._names:
            if name not in self._topics:
                raise CannotFollow(f"there is no topic {name}: `ome kafka init` makes it")
        if self.recorder.adopt(self._leader, self._topics):
            log.warning(
                "the topics are others than before: publishing from the beginning",
                extra={"follower": self.name},
            )
        partitions = {
            topic: self._topics[topic_prefix + topic].partitions for topic in self._feed.topics
        }
        prefixes = (topic_prefix, type_prefix)
        return Sender(servers, self._leader, partitions, prefixes, self._interrupted)


def _json(topics: Mapping[str, Found]) -> str:
    return msgspec.json.encode(topics).decode()
