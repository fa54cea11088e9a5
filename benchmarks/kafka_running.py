"""A Kafka to measure with, topics that are used once, and processes that begin together.

The broker is that of KAFKA_BOOTSTRAP_SERVERS, else one of our own that is started as tests
start theirs: benchmarks are part of a checkout, as tests are, and one way to run Kafka's
programs is enough.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Final, NamedTuple
from uuid import uuid4

import psycopg
from confluent_kafka.admin import AdminClient

from application.persistence.connection import connect
from application.persistence.locks import try_lock
from benchmarks.running import Child, directory
from interface.database_url import database_env
from interface.engine import turn
from interface.kafka.topics import QUIET, create, topics_of
from interface.settings import Settings
from tests.kafka.broker import Broker

_POLL_SECONDS: Final = 0.01
_START_SECONDS: Final = 60
_SECONDS: Final = 120
_TOLD_SECONDS: Final = 1  # until every partition has been told that this was all

# Engines that run, and wait for their turn: they ask for their locks again and again.
_STANDING_BY: Final = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%%pg_try_advisory_lock%%'
    AND pid <> pg_backend_pid() AND pid <> %s"""

_PUBLISHED: Final = """SELECT
    coalesce((SELECT max(notification_id) FROM publisher.orderspublisher_tracking), 0)
      >= (SELECT max(notification_id) FROM orders_events)
    AND coalesce((SELECT max(notification_id) FROM publisher.matchingpublisher_tracking), 0)
      >= coalesce((SELECT max(notification_id) FROM matching_events), 0)"""

_PUBLISHERS: Final = ("OrdersPublisher", "MatchingPublisher")


class Kafka(NamedTuple):
    """A broker; without a pid where it is not ours, and what it takes can't be told."""

    servers: str
    pids: Mapping[str, int]


class Topics(NamedTuple):
    """New topics; ``env`` has processes use them."""

    env: Mapping[str, str]
    client: AdminClient
    prefix: str

    def forget_groups(self) -> None:
        """Make consumers begin again, as if none had been there."""
        groups = self.client.list_consumer_groups().result().valid
        mine = [group.group_id for group in groups if group.group_id.startswith(self.prefix)]
        if mine:
            for future in self.client.delete_consumer_groups(mine).values():
                future.result()


@contextmanager
def kafka() -> Iterator[Kafka]:
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if servers:
        yield Kafka(servers, {})
        return
    with directory() as path, Broker(path) as broker:
        yield Kafka(broker.bootstrap_servers, {"Kafka": broker.pids[0]})


@contextmanager
def topics(servers: str, partitions: int) -> Iterator[Topics]:
    """Yield topics that are deleted at the end."""
    prefix = f"bench-{uuid4().hex}."
    settings = Settings(
        kafka_bootstrap_servers=servers, kafka_topic_prefix=prefix, kafka_partitions=partitions
    )
    made = create(servers, topics_of(settings))
    client = AdminClient({"bootstrap.servers": servers, **QUIET})
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": str(partitions),
    }
    try:
        yield Topics(env, client, prefix)
    finally:
        for future in client.delete_topics(made).values():
            future.result()


def role(name: str, url: str, env: Mapping[str, str]) -> Child:
    """A process of the service."""
    return Child(
        ["interface.cli", "run", "--role", name],
        {"DATABASE_URL": url, "LOG_LEVEL": "WARNING", **env},
    )


@contextmanager
def standing_by(
    url: str, followers: Sequence[str], start: Callable[[], Sequence[Child]]
) -> Iterator[tuple[Sequence[Child], Callable[[], None]]]:
    """Yield processes that are up and wait for their turn, which comes on the second's call.

    They wait for locks that we hold, so that their start is not part of the measurement.
    """
    with ExitStack() as stack, closing(connect(database_env(url))) as holder:
        for name in followers:
            if not try_lock(holder, {}, turn(name)):
                raise RuntimeError(f"somebody else is at work as {name}")
        children = [stack.enter_context(child) for child in start()]
        with psycopg.connect(url, autocommit=True) as connection:
            deadline = time.monotonic() + _START_SECONDS
            ours = holder.info.backend_pid
            while _value(connection, _STANDING_BY, ours) < len(children):
                _wait(children, deadline)
        yield children, holder.close


def until(
    connection: psycopg.Connection, question: str, children: Sequence[Child], *arguments: object
) -> float:
    """The moment (of the monotonic clock) at which the answer was yes. Raises TimeoutError."""
    deadline = time.monotonic() + _SECONDS
    while not _value(connection, question, *arguments):
        _wait(children, deadline)
    return time.monotonic()


@contextmanager
def publishing(
    url: str, env: Mapping[str, str], roles: Sequence[str] = ("publisher",)
) -> Iterator[tuple[Sequence[Child], Callable[[], None]]]:
    with standing_by(url, _PUBLISHERS, lambda: [role(name, url, env) for name in roles]) as both:
        yield both


def publish_all(url: str, env: Mapping[str, str]) -> None:
    """Publish all of a database to the topics, so that it, and copies of it, may follow them."""
    with (
        psycopg.connect(url, autocommit=True) as connection,
        publishing(url, env) as (children, begin),
    ):
        begin()
        until_published(connection, children)
        time.sleep(_TOLD_SECONDS)


def until_published(connection: psycopg.Connection, children: Sequence[Child]) -> float:
    """Return a condition for ``until``: everything in both logs is published."""
    return until(connection, _PUBLISHED, children)


def _value(connection: psycopg.Connection, question: str, *arguments: object) -> int:
    row = connection.execute(question, arguments or None).fetchone()
    return row[0] if row else 0


def _wait(children: Sequence[Child], deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError("it takes too long")
    for child in children:
        child.check()
    time.sleep(_POLL_SECONDS)
