"""Work that only one may do at a time in a database, whichever process it is in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from application.persistence.connection import connect


class Busy(Exception):
    """Somebody else is at the same work."""


@contextmanager
def alone(env: Mapping[str, str], work: str, *, wait: bool = True) -> Iterator[None]:
    """Keeps everybody else in this database from doing ``work`` meanwhile.

    Raises Busy where another does it and ``wait`` is False.
    """
    with connect(env) as connection:  # the lock ends with the connection
        if wait:
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [work])
        elif not try_lock(connection, work):
            raise Busy(f"{work}: another is at it already")
        yield


def try_lock(connection: psycopg.Connection[dict[str, Any]], work: str) -> bool:
    """Takes the lock of ``work`` for as long as the connection lives; False: it is taken."""
    [row] = connection.execute(
        "SELECT pg_try_advisory_lock(hashtext(%s)) AS is_ours", [work]
    ).fetchall()
    is_ours: bool = row["is_ours"]
    return is_ours
