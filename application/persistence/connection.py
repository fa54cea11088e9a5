"""Connections: living ones of the library's pools, and one's own, to listen, lock and snapshot."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from select import POLLIN, poll
from typing import Any, Final

import psycopg
from eventsourcing.persistence import InterfaceError, InternalError, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg.rows import dict_row

# How the library says that PostgreSQL is away, or has ended the session: nothing that the
# caller did is wrong, and the same may work in a moment.
AWAY = (OperationalError, InterfaceError, InternalError)

_CONNECT_SECONDS = 5

# Of libpq, over TCP: who waits for a machine that is gone is told after 11 s, not after hours.
KEEP_ALIVE: Final[Mapping[str, Any]] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}


def connect(env: Mapping[str, str]) -> psycopg.Connection[dict[str, Any]]:
    """Opens a connection in autocommit, to the database that the library's ``env`` names."""
    return psycopg.connect(
        dbname=env["POSTGRES_DBNAME"],
        host=env["POSTGRES_HOST"],
        port=env["POSTGRES_PORT"],
        user=env["POSTGRES_USER"],
        password=env["POSTGRES_PASSWORD"],
        connect_timeout=_CONNECT_SECONDS,
        **KEEP_ALIVE,
        autocommit=True,
        row_factory=dict_row,
    )


@contextmanager
def living_connection(datastore: PostgresDatastore) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A connection of a pool that is alive: on another, what is sent would be in doubt.

    Those that PostgreSQL has ended, as after a restart, are closed, and the pool opens others.
    """
    while True:
        with datastore.get_connection() as connection:
            if not _has_ended(connection):
                yield connection
                return
            connection.close()


def _has_ended(connection: psycopg.Connection[Any]) -> bool:
    """Whether PostgreSQL has said something unasked on an idle connection: it can only be that."""
    idle = poll()
    idle.register(connection.fileno(), POLLIN)
    return bool(idle.poll(0))
