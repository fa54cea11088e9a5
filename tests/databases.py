"""Fresh databases on a server that tests share."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

EMPTY: Final = "template1"
# Waiting for a connection, or for a log's lock, takes longer than a busy machine stands still.
PATIENT: Final = {"POSTGRES_CONNECT_TIMEOUT": "60", "POSTGRES_LOCK_TIMEOUT": "60"}


@contextmanager
def fresh_database(postgres_url: str, template: str = EMPTY) -> Iterator[str]:
    """Copy a database, give the copy's URL, and drop it in the end."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield postgres_url.replace("/ome?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
