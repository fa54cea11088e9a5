"""Connections: living ones of the process's pool, and one's own, to listen, lock and snapshot."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from select import POLLIN, poll
from typing import Any, Final, cast

import psycopg
from eventsourcing.persistence import InterfaceError, InternalError, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg import BaseConnection
from psycopg.rows import dict_row

from application.persistence.schemas import schema_of
from application.persistence.session import prepare

# The library raises these if the database is unavailable, or has ended the session: nothing that
# the caller did is wrong, and the same may work in a moment.
AWAY = (OperationalError, InterfaceError, InternalError)

# The key of the library's environment that has libpq's connection string.
CONNINFO: Final = "POSTGRES_CONNINFO"


class DatabaseUnusable(Exception):
    """The database can't serve the market as it is; the message says why, and what to do.

    Trying again does not help: whoever meets it ends with this one sentence.
    """


class TooManyLongReads(OperationalError):
    """Long reads use all connections but those that are kept for commands and short reads."""


def connect(env: Mapping[str, str]) -> psycopg.Connection[dict[str, Any]]:
    """Open a connection in autocommit, to the database that the library's ``env`` names."""
    connection = psycopg.connect(env[CONNINFO], autocommit=True, row_factory=dict_row)
    try:
        prepare(connection, schema_of(env))
    except BaseException:
        connection.close()
        raise
    return connection


def living_connection(
    datastore: PostgresDatastore,
) -> AbstractContextManager[psycopg.Connection[dict[str, Any]]]:
    """A connection of the pool that is alive, see datastore.Datastore."""
    return datastore.get_connection()


def long_read(datastore: PostgresDatastore) -> AbstractContextManager[None]:
    """A place for a read that may be long, see datastore.Datastore; the library's has no limit."""
    take = getattr(datastore, "long_read", nullcontext)
    return cast("AbstractContextManager[None]", take())


def has_ended(connection: BaseConnection[Any]) -> bool:
    """Test if PostgreSQL has sent something on an idle connection: that can only be its end."""
    idle = poll()
    idle.register(connection.fileno(), POLLIN)
    return bool(idle.poll(0))
