"""The service without its server: the Flask application, on a real PostgreSQL."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from interface.database_url import database_env
from interface.engine import Engine
from interface.listening import Bell
from system import build, create_tables
from tests.http.support import Service, Stopwatch

THREADS = 16  # of which half may wait
# Whom another keeps from a connection, or from the log, waits for longer than a busy machine
# stands still. What comes of it where nobody waits so long, test_unavailable.py tests.
PATIENT = {"POSTGRES_CONNECT_TIMEOUT": "60", "POSTGRES_LOCK_TIMEOUT": "60"}


@pytest.fixture(scope="module")
def service(postgres_url: str) -> Iterator[Service]:
    """A service whose engine runs. Tests share it: each takes an asset of its own."""
    with _service(postgres_url) as service:
        engine = Engine(service.env)
        engine.start()
        yield service
        engine.stop()
        engine.join()


@pytest.fixture(scope="module")
def unfollowed(postgres_url: str) -> Iterator[Service]:
    """A service that nothing follows, so that only what a test sends changes its log."""
    with _service(postgres_url) as service:
        yield service


@pytest.fixture
def stalled(postgres_url: str) -> Iterator[Service]:
    """A service of its own whose followers take a step when the test says so."""
    with _service(postgres_url) as service:
        yield service


@pytest.fixture
def stopwatch() -> Iterator[Stopwatch]:
    """It runs."""
    with Stopwatch() as stopwatch:
        yield stopwatch


@contextmanager
def _service(postgres_url: str) -> Iterator[Service]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        env = database_env(postgres_url.replace("/ome?", f"/{name}?"))
        env |= {"POSTGRES_MAX_OVERFLOW": str(THREADS), **PATIENT}
        create_tables(env)
        with closing(build(env)) as market:
            bell = Bell(env, market)
            bell.start()
            yield Service(market, bell, env)
            bell.stop()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
