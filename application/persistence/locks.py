"""Work that only one may do at a time for a market, whichever process it is in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from application.persistence.connection import connect
from application.persistence.schemas import PUBLIC, schema_of


class Busy(Exception):
    """Somebody else is at the same work."""


@contextmanager
def alone(env: Mapping[str, str], work: str, *, wait: bool = True) -> Iterator[None]:
    """Keep all others from doing ``work`` for this market meanwhile.

    Raises Busy if another does it and ``wait`` is False. With ``wait``, the work may take 10 s.
    """
    with connect(env) as connection:  # the lock ends with the connection
        if wait:
            # A process that hangs with the lock, as a stopped one does, must not keep it: its
            # session is ended.
            connection.execute("SET idle_session_timeout = '10s'")
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [key(env, work)])
        elif not try_lock(connection, env, work):
            raise Busy(f"{work}: another is at it already")
        yield


def try_lock(
    connection: psycopg.Connection[dict[str, Any]],
    env: Mapping[str, str],
    work: str,
    *,
    shared: bool = False,
) -> bool:
    """Take the lock of ``work`` for the life of the connection; False: it is taken.

    ``shared``: together with all others who share it.
    """
    function = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
    [row] = connection.execute(
        SQL("SELECT {}(hashtext(%s)) AS is_ours").format(Identifier(function)), [key(env, work)]
    ).fetchall()
    is_ours: bool = row["is_ours"]
    return is_ours


def key(env: Mapping[str, str], work: str) -> str:
    """Return what a lock of ``work`` is named: another market of the database has its own."""
    schema = schema_of(env)
    return work if schema == PUBLIC else f"{work} in {schema}"
