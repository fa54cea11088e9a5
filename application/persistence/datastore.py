"""The library's datastore, whose pool is that of the whole process."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import psycopg
from eventsourcing.persistence import OperationalError
from eventsourcing.postgres import ConnectionPool, PostgresDatastore, PostgresFactory
from eventsourcing.utils import Environment, EnvType
from psycopg import BaseConnection
from psycopg.rows import DictRow, dict_row
from psycopg.sql import Identifier
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg_pool import PoolTimeout

from application.persistence.connection import (
    CONNINFO,
    TooManyLongReads,
    has_ended,
    living_connection,
)
from application.persistence.schemas import schema_of
from application.persistence.session import prepare
from application.persistence.watchdog import Watchdog

# Connections of a process without a size of its own: its followers, which are idle by turns.
ENGINE_POOL: Final = 5
_RECONNECT_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 10.0  # after which a connection that nobody needed is closed
# Of a pool, those that long reads leave to commits and to short reads.
_KEPT_FREE: Final = 3
# The time limit of a statement that sends none of its own; unset: none.
STATEMENT_SECONDS: Final = "POSTGRES_STATEMENT_SECONDS"
# The longest use of a connection before the database counts as silent; unset: any.
SILENCE_SECONDS: Final = "POSTGRES_SILENCE_SECONDS"

Connection = psycopg.Connection[DictRow]


class Factory(PostgresFactory):
    """Named to the library by PERSISTENCE_MODULE."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self.datastore = Datastore(self.env, self.datastore)


class Datastore(PostgresDatastore):
    """One application's access to a database: names, and a share of the process's pool.

    Statements name the schema, the connection doesn't, so that all applications of a process can
    use the same few connections.
    """

    def __init__(self, env: Environment, parsed: PostgresDatastore) -> None:
        """``parsed`` is what the library has made of ``env``; its pool was never opened."""
        super().__init__(
            *([""] * 5),
            lock_timeout=parsed.lock_timeout,
            schema=parsed.schema,
            single_row_tracking=parsed.single_row_tracking,
            originator_id_type=parsed.originator_id_type,  # type: ignore[arg-type]
        )
        self._shared = _shared_pool(env, parsed)
        self.pool = self._shared.pool
        self._is_closed = False

    @contextmanager
    def get_connection(self) -> Iterator[Connection]:
        """Yield a living connection: on another, the outcome of a statement would be in doubt.

        Those that PostgreSQL has ended, as after a restart, are closed, and the pool opens others.
        The error says why there is none.
        """
        try:
            while True:
                with super().get_connection() as connection:
                    if not has_ended(connection):
                        with self._shared.watchdog.watch(connection):
                            yield connection
                        return
                    connection.close()
        except OperationalError as error:
            if isinstance(error.__cause__, PoolTimeout) and self._shared.pool.failure:
                raise OperationalError(self._shared.pool.failure) from error.__cause__
            raise

    def watch(self, connection: BaseConnection[Any]) -> AbstractContextManager[None]:
        """Watch another connection than those of the pool as those are, while it is in use."""
        return self._shared.watchdog.watch(connection)

    @contextmanager
    def long_read(self) -> Iterator[None]:
        """Hold a place for a read that may be long, with one connection at a time.

        A list that is limited to something rare may read millions of rows. Were the whole pool
        taken by such, nobody could place an order. Raise TooManyLongReads if no place gets free.
        """
        places = self._shared.places_of_long_reads
        if not places.acquire(timeout=self.pool.timeout):
            raise TooManyLongReads("too many long reads run at once")
        try:
            yield
        finally:
            places.release()

    def register_type_adapters(self) -> None:
        """Register types as the library does, but quote the name of the schema."""
        for name in self.db_type_names - self.psycopg_type_adapters.keys():
            with living_connection(self) as connection:
                try:
                    info = CompositeInfo.fetch(connection, Identifier(self.schema, name))
                except psycopg.errors.InsufficientPrivilege:
                    continue  # the start names all rights that are missing
                if info is not None:
                    register_composite(info, connection)  # which makes its class
                    self.psycopg_type_adapters[name] = info
                    self.psycopg_python_types[name] = info.python_type

    def close(self) -> None:
        """Give the pool back; the last one closes it."""
        if not getattr(self, "_is_closed", True):
            self._is_closed = True
            self._shared.release()


class Pool(ConnectionPool[Connection]):
    """A pool that remembers why it could not connect, and who had which connection."""

    failure = ""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._of_thread = threading.local()
        super().__init__(*args, **settings)

    def getconn(self, timeout: float | None = None) -> Connection:
        self._of_thread.connection = connection = super().getconn(timeout)
        return connection

    def _get_ready_connection(self, timeout: float | None) -> Connection | None:
        """Give a thread the connection that it had last, or else the one that was used last.

        The library gives the one that has been unused for longest, and has no setting for that. So
        every session would do everything, with cold plans and caches: PostgreSQL took a fifth
        more processor time.
        """
        last: Connection | None = getattr(self._of_thread, "connection", None)
        if last is not None and last in self._pool:
            self._pool.remove(last)
            self._pool.appendleft(last)
        else:
            self._pool.rotate(1)
        return super()._get_ready_connection(timeout)

    def _connect(self, timeout: float | None = None) -> Connection:
        try:
            connection = super()._connect(timeout)
        except Exception as error:
            self.failure = str(error).strip()
            raise
        self.failure = ""
        return connection


class _Shared:
    """A pool, who watches its connections, and how many datastores have it."""

    def __init__(self, key: tuple[Any, ...], pool: Pool, watchdog: Watchdog) -> None:
        self.pool = pool
        self.watchdog = watchdog
        self.places_of_long_reads = threading.BoundedSemaphore(max(pool.max_size - _KEPT_FREE, 1))
        self._key = key
        self._users = 0

    def take(self) -> "_Shared":
        self._users += 1
        return self

    def release(self) -> None:
        with _mutex:
            self._users -= 1
            if self._users:
                return
            del _pools[self._key]
        self.pool.close()
        self.watchdog.close()


_mutex: Final = threading.RLock()  # a datastore may be closed by the garbage collector
_pools: Final[dict[tuple[Any, ...], _Shared]] = {}


def _shared_pool(env: Environment, parsed: PostgresDatastore) -> _Shared:
    """The pool of this database; of those that want another size or time, another."""
    asked = parsed.pool
    seconds = float(env.get(STATEMENT_SECONDS) or 0)
    silence = float(env.get(SILENCE_SECONDS) or 0)
    sizes = (asked.min_size, asked.max_size, asked.timeout)
    key = (env[CONNINFO], schema_of(env), *sizes, seconds, silence)
    with _mutex:
        if key not in _pools:
            watchdog = Watchdog(silence)
            _pools[key] = _Shared(key, _pool(env, parsed, seconds, watchdog), watchdog)
        return _pools[key].take()


def _pool(
    env: Environment, parsed: PostgresDatastore, statement_seconds: float, watchdog: Watchdog
) -> Pool:
    idle_in_transaction_seconds = parsed.idle_in_transaction_session_timeout

    def configure(connection: Connection) -> None:
        with watchdog.watch(connection):
            prepare(
                connection,
                schema_of(env),
                statement_seconds=statement_seconds,
                idle_in_transaction_seconds=idle_in_transaction_seconds,
            )

    # A pool whose database is unavailable is quick to look again. Left alone, its attempts to
    # reconnect come ever more seldom, over five minutes; this way an attempt is given up soon,
    # and the next request starts a new one.
    return Pool(
        env[CONNINFO],
        kwargs={"row_factory": dict_row},
        connection_class=psycopg.Connection[DictRow],
        min_size=parsed.pool.min_size,
        max_size=parsed.pool.max_size,
        open=False,
        configure=configure,
        timeout=parsed.pool.timeout,
        max_idle=_IDLE_SECONDS,
        reconnect_timeout=_RECONNECT_SECONDS,
    )
