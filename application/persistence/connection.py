"""A connection of one's own, beside the library's pools: to listen, to lock, to snapshot."""

from collections.abc import Mapping
from typing import Any

import psycopg
from eventsourcing.persistence import InterfaceError, InternalError, OperationalError
from psycopg.rows import dict_row

# How the library says that PostgreSQL is away, or has ended the session: nothing that the
# caller did is wrong, and the same may work in a moment.
AWAY = (OperationalError, InterfaceError, InternalError)

_CONNECT_SECONDS = 5


def connect(env: Mapping[str, str]) -> psycopg.Connection[dict[str, Any]]:
    """Opens a connection in autocommit, to the database that the library's ``env`` names."""
    return psycopg.connect(
        dbname=env["POSTGRES_DBNAME"],
        host=env["POSTGRES_HOST"],
        port=env["POSTGRES_PORT"],
        user=env["POSTGRES_USER"],
        password=env["POSTGRES_PASSWORD"],
        connect_timeout=_CONNECT_SECONDS,
        autocommit=True,
        row_factory=dict_row,
    )
