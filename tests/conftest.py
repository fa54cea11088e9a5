"""One PostgreSQL for each test process, and a database of its own for each test."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory that other users can be let into, unlike tmp_path, with a short path."""
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server that this test process has for itself, quick and not durable."""
    # Imported here: tests of the domain need nothing that is above it.
    from interface.postgres import EmbeddedPostgres  # noqa: PLC0415

    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    with EmbeddedPostgres(directory, durable=False) as postgres:
        yield postgres.url
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh database."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres_url.replace("/ome?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def library_env(database_url: str) -> dict[str, str]:
    """The library's environment for a fresh database."""
    from interface.database_url import database_env  # noqa: PLC0415

    return database_env(database_url)
