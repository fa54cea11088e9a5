"""The HTTP server: granian, with the application made in its worker processes.

Nothing that lives (a thread, a connection, a pool) is made before the workers are forked.
"""

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import SimpleQueue
from typing import Any, Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, TaskImpl
from granian.log import LogLevels

from application.books_ahead import BooksAhead
from application.persistence.database_clock import DatabaseClock
from application.persistence.migrations import check_version, version_in
from application.persistence.schemas import schema_of
from interface.connections import API_POOL
from interface.errors import DatabaseError
from interface.http import create_app
from interface.http.dispatch import Dispatcher
from interface.http.front import Front
from interface.http.limits import Limits
from interface.http.worker import Worker
from interface.listening import Bell, PublishedLog
from interface.process import die_with_parent, keep_to_one_cpu
from interface.settings import Settings
from interface.timekeeping import Timekeeper
from system import Market, build

# Connections that wait to be taken, as when a worker has as many as it may have.
_BACKLOG: Final = 4096
_MORE_FILES: Final = 1024  # than connections: those to PostgreSQL, the log
# A request that waits for the market is answered without it, once the database is silent.
_SILENCE_SECONDS: Final = 4
# Before whoever stops us loses patience. A request that waits is answered within this, or lost.
_STOP_SECONDS: Final = 8
# Its few lines go where ours go.
_LOGGING: Final[Mapping[str, Any]] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


log = logging.getLogger(__name__)


class Ending:
    """The end of the server, asked for by any of its workers, with the reason."""

    def __init__(self) -> None:
        self._server = os.getpid()
        self._reasons: SimpleQueue[str] = SimpleQueue()

    def __call__(self, reason: str) -> None:
        if self._reasons.empty():  # one is enough, and each takes room until the server reads it
            self._reasons.put(reason)
            with suppress(ProcessLookupError):
                os.kill(self._server, signal.SIGTERM)

    def reason(self) -> str | None:
        """Return the reason, to the server, which has stopped; None: nobody asked for it."""
        return None if self._reasons.empty() else self._reasons.get()


def serve(settings: Settings, env: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first.

    ``env`` is the library's; the database's tables exist. Exits with 1 where a worker fails.
    Raises DatabaseError once the database belongs to another release.
    """
    ending = Ending()
    _raise_limit_of_files(settings.http_connections)
    server = Granian(
        "interface.http.server",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        loop=Loops.asyncio,
        task_impl=TaskImpl.asyncio,
        http=HTTPModes.http1,
        websockets=False,
        workers=settings.http_workers,
        backlog=_BACKLOG,
        backpressure=settings.http_connections,
        workers_kill_timeout=_STOP_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig=dict(_LOGGING),
    )
    loader: Any = partial(_load, settings, env, os.getpid(), ending)
    server.serve(target_loader=loader, wrap_loader=False)
    if reason := ending.reason():
        raise DatabaseError(reason)


def _raise_limit_of_files(connections: int) -> None:
    """Raise the limit of open files: each connection is one, and many shells set it to 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _MORE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning(
            "HTTP_CONNECTIONS=%d needs %d open files, and this process may have %d: raise the hard"
            " limit (ulimit -Hn, LimitNOFILE) or lower the setting",
            connections,
            wanted,
            hard,
        )


def _published_logs(settings: Settings, env: Mapping[str, str]) -> Sequence[PublishedLog]:
    if settings.kafka_bootstrap_servers is None:
        return ()
    from interface.kafka import publishers  # noqa: PLC0415 - only where there is Kafka

    return publishers(settings, env)


def _check_release(market: Market, env: Mapping[str, str]) -> None:
    """Raise SchemaUnusable where a newer release has upgraded the database."""
    with market.orders.recorder.datastore.get_connection() as connection:
        check_version(version_in(connection, schema_of(env)))


def _load(settings: Settings, env: Mapping[str, str], parent: int, ending: Ending) -> Front:
    """Make the application in a worker, which would outlive a parent that is killed."""
    die_with_parent(parent)
    if settings.keep_to_one_cpu:
        # Engines count from the other end. Several workers get different cores, as a rule.
        keep_to_one_cpu(os.getpid() if settings.http_workers > 1 else 0)
    env = {**env, "POSTGRES_MAX_OVERFLOW": str(API_POOL - 1)}
    limits = Limits.of(settings)
    market = build(env)
    published = _published_logs(settings, env)
    bell = Bell(env, market, published, silence_seconds=_SILENCE_SECONDS)
    clock = DatabaseClock.of(market.orders)
    ahead = BooksAhead(market.matching, clock)
    timekeeper = Timekeeper(clock, ahead, partial(_check_release, market, env), ending)
    timekeeper.start()
    worker = Worker(market, bell, clock, limits.threads)
    app = create_app(
        worker,
        asyncio.get_event_loop(),  # the server has made it
        limits,
        books_ahead=ahead.times,
        published=published,
        end=ending,
    )

    def close() -> None:
        timekeeper.stop()
        market.close()

    return Front(worker, Dispatcher(app), limits, close)
