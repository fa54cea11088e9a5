"""The connection of an event loop to a log: it records there while the loop does other things."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final, cast

import psycopg
from eventsourcing.persistence import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
)
from psycopg.rows import tuple_row

from application.persistence.connection import CONNINFO, has_ended
from application.persistence.datastore import STATEMENT_SECONDS, Datastore
from application.persistence.group_commit import Events, Places
from application.persistence.recorder import EventRecorder
from application.persistence.schemas import schema_of
from application.persistence.session import prepare_async
from application.persistence.unit_of_work import transact_async

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_ERRORS: Final[Mapping[type[BaseException], type[PersistenceError]]] = {
    psycopg.Error: PersistenceError,
    psycopg.InterfaceError: InterfaceError,
    psycopg.DatabaseError: DatabaseError,
    psycopg.DataError: DataError,
    psycopg.OperationalError: OperationalError,
    psycopg.IntegrityError: IntegrityError,
    psycopg.InternalError: InternalError,
    psycopg.ProgrammingError: ProgrammingError,
    psycopg.NotSupportedError: NotSupportedError,
}


class LogConnection:
    """One connection, which is opened again when it was lost.

    ``env`` is the library's. It is for one caller at a time, as a group commit is.
    """

    def __init__(self, recorder: EventRecorder, env: Mapping[str, str]) -> None:
        self._recorder = recorder
        self._datastore = cast("Datastore", recorder.datastore)
        self._env = env
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Open it before it is needed, if that can be done: later pools may have all there are."""
        with suppress(psycopg.Error, OperationalError):
            await self._living()

    async def record(self, events: Events, stamp: datetime | None) -> list[int]:
        """Store events in one transaction; return their notification ids.

        Raises what EventRecorder.insert_events does.
        """
        call = self._recorder.call(events, None, stamp=stamp)
        with _errors_of_the_library():
            connection = await self._living()
            with self._datastore.watch(connection):
                ids, *_ = await transact_async(connection, [call], self._recorder.locks)
        return ids or []

    async def taken(self, events: Events) -> Places:
        """Return those of the events' places that are taken; in a thread, as it is rare."""
        return await asyncio.to_thread(self._recorder.taken, events)

    async def wake(self, recorded: int) -> None:
        """Tell listeners how far the log goes, see EventRecorder.wake."""
        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error), self._datastore.watch(connection):
                await connection.execute(
                    "SELECT pg_notify(%s, %s)",
                    (self._recorder.channel_name, f"{recorded}:"),
                    prepare=True,
                )

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _living(self) -> Connection:
        """Return a living connection: on another, the outcome of a commit would be in doubt."""
        async with self._opening:
            connection = self._connection
            if connection is not None:
                if not connection.closed and not has_ended(connection):
                    return connection
                await connection.close()
            self._connection = None
            self._connection = connection = await self._open()
            return connection

    async def _open(self) -> Connection:
        seconds = self._datastore.pool.timeout
        try:
            async with asyncio.timeout(seconds):
                connection = await Connection.connect(
                    self._env[CONNINFO], autocommit=True, row_factory=tuple_row
                )
        except TimeoutError:
            raise OperationalError(f"couldn't connect within {seconds} s") from None
        try:
            with self._datastore.watch(connection):
                await prepare_async(
                    connection,
                    schema_of(self._env),
                    statement_seconds=float(self._env.get(STATEMENT_SECONDS) or 0),
                )
        except BaseException:
            await connection.close()
            raise
        return connection


@contextmanager
def _errors_of_the_library() -> Iterator[None]:
    """Raise the library's errors instead of psycopg's, as its datastore does."""
    try:
        yield
    except psycopg.Error as error:
        of_library = next(_ERRORS[kind] for kind in type(error).__mro__ if kind in _ERRORS)
        raise of_library(str(error)) from error
