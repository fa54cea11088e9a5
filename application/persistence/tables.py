"""Creating tables one at a time.

Applications that are constructed at the same moment race to create their tables
("tuple concurrently updated"), in one process as in several.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

_LOCK = 0x0D3E_C4A1  # any number, as long as it is always this one


@contextmanager
def alone(env: Mapping[str, str]) -> Iterator[None]:
    """Holds a lock that everybody takes who creates tables in this database."""
    with psycopg.connect(
        dbname=env["POSTGRES_DBNAME"],
        host=env["POSTGRES_HOST"],
        port=env.get("POSTGRES_PORT") or 5432,
        user=env["POSTGRES_USER"],
        password=env["POSTGRES_PASSWORD"],
        autocommit=True,
    ) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield  # the lock ends with the connection
