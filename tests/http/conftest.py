"""The service without its server: the Flask application, on a real PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from interface.database_url import database_env
from interface.engine import Engine
from system import build
from tests.databases import PATIENT, fresh_database
from tests.http.support import Service, Stopwatch, serving

THREADS = 16


@pytest.fixture(scope="module")
def service(postgres_url: str, market_template: str) -> Iterator[Service]:
    """A service whose engine runs. Tests share it: each takes an asset of its own."""
    with _service(postgres_url, market_template) as service:
        engine = Engine(service.env)
        engine.start()
        yield service
        engine.stop()
        engine.join()


@pytest.fixture(scope="module")
def unfollowed(postgres_url: str, market_template: str) -> Iterator[Service]:
    """A service that nothing follows, so that only what a test sends changes its log."""
    with _service(postgres_url, market_template) as service:
        yield service


@pytest.fixture
def stalled(postgres_url: str, market_template: str) -> Iterator[Service]:
    """A service of its own whose followers take a step when the test says so."""
    with _service(postgres_url, market_template) as service:
        yield service


@pytest.fixture
def stopwatch() -> Iterator[Stopwatch]:
    """It runs."""
    with Stopwatch() as stopwatch:
        yield stopwatch


@contextmanager
def _service(postgres_url: str, template: str) -> Iterator[Service]:
    with fresh_database(postgres_url, template) as url:
        env = {**database_env(url), "POSTGRES_MAX_OVERFLOW": str(THREADS), **PATIENT}
        with closing(build(env)) as market, serving(market, env) as service:
            yield service
