"""The life of the embedded PostgreSQL server."""

import logging
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import psycopg
from psycopg import errors

from interface.data_dir import DataDirInUse, DataDirLock
from interface.postgres.cluster import Cluster, PostgresError
from interface.postgres.postmaster import Postmaster
from interface.process import never, wait_for_exit
from interface.settings import Settings

DATABASE: Final = "ome"

# Seconds.
_START_TIMEOUT: Final = 300.0  # after a crash there may be a lot of log to read again
_STOP_TIMEOUT: Final = 30.0
_APPEAR_TIMEOUT: Final = 10.0
_CONNECT_TIMEOUT: Final = 2
_POLL: Final = 0.05

_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """A server on DATA_DIR, reachable by a socket that only its user and root can open.

    A server that lives there already is adopted: used, and left running. Otherwise the server is a
    child of this process, in a session of its own so that Ctrl-C on the terminal spares it, and
    shuts down when this process ends, however it ends (on Linux). The caller holds DataDirLock
    when it starts one, and starts it from a thread that lives as long as the server shall.

    durable=False gives up what a crash of the machine would lose: for tests.
    cancelled is asked while waiting; when it says yes the start ends with PostgresError.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        cancelled: Callable[[], bool] = never,
    ) -> None:
        self._cluster = Cluster(data_dir)
        self._durable = durable
        self._cancelled = cancelled
        self._child: subprocess.Popen[bytes] | None = None
        self._server: Postmaster | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The DATABASE_URL of the running server."""
        server = self._running()
        directory = quote(server.socket_dir, safe="")
        return f"postgresql://postgres@:{server.port}/{DATABASE}?host={directory}"

    @property
    def pid(self) -> int:
        return self._running().pid

    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._server is not None and self._server.alive()

    def start(self) -> None:
        """Start or adopt the server, wait until it answers, and create the database once.

        Raise PostgresError, or AccountError when the server's user cannot have what it needs.
        """
        if self.adopt():
            return
        self._cluster.prepare()
        try:
            self._start_child()
        except BaseException:
            self.stop()
            raise

    def adopt(self, appears_within: float = 0) -> bool:
        """Use the server that lives on the data directory; False when none does.

        One that is starting or stopping is waited for. appears_within: seconds that a server has
        to appear, for a caller who knows that somebody is about to start one.
        """
        appears_by = time.monotonic() + appears_within
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            server = Postmaster.read(self._cluster.path)
            if server is not None and server.alive():
                if _answers(server):
                    self._use(server)
                    _log.info("PostgreSQL runs already", extra={"pid": server.pid})
                    return True
            elif time.monotonic() >= appears_by:
                return False
            self._pause(deadline)

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        """Shut down the server if it is our child, in an orderly way that takes a moment.

        When hurry says yes, or after 30 s, it stops at once and the next start repairs its files.
        """
        child, self._child, self._server = self._child, None, None
        if child is None:
            return
        child.send_signal(signal.SIGINT)
        if not wait_for_exit(child, _STOP_TIMEOUT, hurry):
            _log.warning("PostgreSQL is stopped by force", extra={"pid": child.pid})
            child.send_signal(signal.SIGQUIT)
            child.wait()

    def _running(self) -> Postmaster:
        if self._server is None:
            raise PostgresError("The embedded PostgreSQL is not running.")
        return self._server

    def _start_child(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            log_size = self._cluster.log_size()
            self._child = self._cluster.start_server(durable=self._durable)
            if self._wait_until_ready(self._child, deadline):
                _log.info("PostgreSQL started", extra={"pid": self._child.pid})
                return
            said = self._cluster.log_since(log_size)
            # A killed server leaves processes behind that need a moment to notice.
            if "is still in use" not in said:
                raise PostgresError(f"PostgreSQL stopped while starting:\n{said}")
            self._pause(deadline)

    def _wait_until_ready(self, child: subprocess.Popen[bytes], deadline: float) -> bool:
        """Wait until our child answers; False when it ended instead."""
        while child.poll() is None:
            server = Postmaster.read(self._cluster.path)
            # Until it has written the pid file itself, the file may be that of a former server.
            if server is not None and server.pid == child.pid and _answers(server):
                self._use(server)
                return True
            self._pause(deadline)
        return False

    def _use(self, server: Postmaster) -> None:
        self._server = server
        with _connect(server) as connection:
            _create_database(connection)

    def _pause(self, deadline: float) -> None:
        if self._cancelled():
            raise PostgresError("The start of PostgreSQL was cancelled.")
        if time.monotonic() > deadline:
            raise PostgresError(
                f"PostgreSQL does not answer after {_START_TIMEOUT:.0f} s:\n"
                f"{self._cluster.log_since(0)}"
            )
        time.sleep(_POLL)


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Give the URL of the database: that of the settings, else of the embedded server.

    An embedded server that `ome run` has started is used; otherwise it runs for as long as this
    context. Raise DataDirInUse when another process holds DATA_DIR without a server, and whatever
    EmbeddedPostgres.start() raises.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(DataDirLock(settings.data_dir))
        except DataDirInUse:
            postgres = EmbeddedPostgres(settings.data_dir)
            if not postgres.adopt(_APPEAR_TIMEOUT):
                raise
        else:
            postgres = stack.enter_context(EmbeddedPostgres(settings.data_dir))
        yield postgres.url


def _connect(server: Postmaster) -> psycopg.Connection:
    return psycopg.connect(
        host=server.socket_dir,
        port=server.port,
        user="postgres",
        dbname="postgres",
        connect_timeout=_CONNECT_TIMEOUT,
        autocommit=True,
    )


def _answers(server: Postmaster) -> bool:
    if not server.ready:
        return False
    try:
        _connect(server).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_database(connection: psycopg.Connection) -> None:
    known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
    if known.fetchone() is None:
        # Another user of the same server may be faster.
        with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
            connection.execute(f"CREATE DATABASE {DATABASE}")
