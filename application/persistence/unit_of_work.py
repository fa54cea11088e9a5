"""Transactions of one statement: calls of recording functions, of one follower or of several.

Nobody holds a lock while a process thinks, and a process that dies or hangs leaves its transaction
done or not begun.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psycopg
from eventsourcing.persistence import OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg import BaseConnection
from psycopg.rows import tuple_row

from application.persistence.connection import AWAY, living_connection
from application.persistence.guards import recording, recording_async


class CommitUnknown(OperationalError):
    """The connection was lost during the commit: the events may be stored, or not."""


class Call(NamedTuple):
    """A call of a function of PostgreSQL, with a placeholder for each of its arguments."""

    function: str
    arguments: Sequence[object]


def transact(datastore: PostgresDatastore, calls: Sequence[Call], locks: str) -> Sequence[Any]:
    """Make the calls one after the other in one transaction, in one round trip.

    Return their results. ``locks`` says which locks they wait for. Raises PositionMoved,
    IdsMoved, IntegrityError, LockTimeout, SchemaOutdated, StampAhead, CommitUnknown or
    OperationalError (the database is unavailable).
    """
    statement, arguments = _statement(calls)
    with (
        living_connection(datastore) as connection,
        connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        _committing(connection),
    ):
        recording(connection, lambda: cursor.execute(statement, arguments, prepare=True), locks)
        [results] = cursor.fetchall()
    return results


async def transact_async(
    connection: psycopg.AsyncConnection[Any], calls: Sequence[Call], locks: str
) -> Sequence[Any]:
    """Do the same on an event loop's own connection. Raises psycopg's errors besides."""
    statement, arguments = _statement(calls)
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        with _committing(connection):
            await recording_async(
                connection, lambda: cursor.execute(statement, arguments, prepare=True), locks
            )
        [results] = await cursor.fetchall()
    return results


def _statement(calls: Sequence[Call]) -> tuple[str, list[object]]:
    # PostgreSQL computes the columns of a row from left to right; a test holds it to that.
    statement = f"SELECT {', '.join(call.function for call in calls)}"
    return statement, [argument for call in calls for argument in call.arguments]


def notify(datastore: PostgresDatastore, messages: Sequence[tuple[str, str]]) -> None:
    """Send messages, each to a channel, in a transaction of their own, if it can be done.

    In the transaction that they tell of, NOTIFY would hold an instance-wide lock through the
    flush. A listener that misses a message looks by itself, soon.
    """
    statement = f"SELECT {', '.join(['pg_notify(%s, %s)'] * len(messages))}"
    texts = [text for message in messages for text in message]
    with suppress(psycopg.Error, *AWAY), living_connection(datastore) as connection:
        connection.execute(statement, texts, prepare=True)


@contextmanager
def _committing(connection: BaseConnection[Any]) -> Iterator[None]:
    """Raise CommitUnknown where the connection is lost from here on."""
    try:
        yield
    except psycopg.OperationalError as error:
        if connection.closed:
            raise CommitUnknown(str(error)) from error
        raise
