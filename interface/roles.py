"""What each process of the service does: all of it, the engine, or HTTP."""

import logging
import os
import signal
import time
from collections.abc import Callable

import psycopg

from application.persistence.connection import AWAY
from interface.database_url import database_env, libpq_env
from interface.engine import Engine
from interface.process import die_with_supervisor
from interface.settings import Settings
from interface.supervisor import run_all
from system import create_tables

log = logging.getLogger(__name__)

_DATABASE_SECONDS = 30  # to wait for PostgreSQL at the start
_PAUSE_SECONDS = 0.5
_REQUEST_SECONDS = 5


def run(settings: Settings, role: str, *, demo: bool) -> int:
    """Runs a role to its end, and gives the exit code."""
    if role == "all":
        return run_all(settings, demo=demo)
    die_with_supervisor()
    if settings.database_url is None:
        log.error("this role needs DATABASE_URL", extra={"role": role})
        return 2
    url = settings.database_url.get_secret_value()
    os.environ.update(libpq_env(url))
    env = database_env(url)
    _when_postgres_answers(lambda: create_tables(env))
    if role == "engine":
        return _run_engine(settings, env)
    # A request that waits in the database for longer is answered with 503.
    os.environ.setdefault("PGOPTIONS", f"-c statement_timeout={_REQUEST_SECONDS}s")
    from interface.http.server import serve  # noqa: PLC0415 - the engine needs no HTTP server

    serve(settings, env)
    return 0


def _run_engine(settings: Settings, env: dict[str, str]) -> int:
    engine = Engine(env, settings.batch_size)
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: engine.stop())
    engine.start()
    log.info("engine started")
    engine.join()
    log.info("engine stopped")
    return 0


def _when_postgres_answers(work: Callable[[], None]) -> None:
    deadline = time.monotonic() + _DATABASE_SECONDS
    while True:
        try:
            return work()
        except (psycopg.OperationalError, *AWAY) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("PostgreSQL is away", extra={"error": str(error).strip()})
            time.sleep(_PAUSE_SECONDS)
