"""The checks of a recording function before it changes anything, and their errors in Python."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from eventsourcing.persistence import IntegrityError, OperationalError, PersistenceError

from application.persistence.migrations import SCHEMA_VERSION, SchemaOutdated
from application.persistence.position import PositionMoved

T = TypeVar("T")

_OUTDATED: Final = "OM001"
_AHEAD: Final = "OM002"
_ISOLATED: Final = "OM003"
IDS_MOVED: Final = "OM004"

# The first parameter of every recording function, and the first statements of its body.
#
# Under READ COMMITTED each statement of a volatile function has a snapshot of its own, so that
# what is read after a lock was taken is what was committed before. Under any other level it is
# the snapshot from before the lock: the end of a log, or a position, would be an old one.
VERSION_PARAMETER: Final = "version integer"
GUARD: Final = f"""
        IF version IS DISTINCT FROM {SCHEMA_VERSION} THEN
            RAISE EXCEPTION USING ERRCODE = '{_OUTDATED}', MESSAGE = CASE
                WHEN version > {SCHEMA_VERSION} THEN format('this database has schema version'
                    ' {SCHEMA_VERSION}, and this process needs version %s: upgrade the database'
                    ' with "ome db init"', version)
                ELSE format('this database was upgraded to schema version {SCHEMA_VERSION}; this'
                    ' process is of an older release (version %s): stop it and start the new one',
                    version)
                END;
        END IF;
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'the transaction isolation level must be READ COMMITTED, and is %',
                upper(current_setting('transaction_isolation')) USING ERRCODE = '{_ISOLATED}';
        END IF;"""
# Functions that record commands take their newest stamp, if it is an estimate of the database's
# time, and the number of seconds by which it may be ahead of that. A book's time is the
# largest of its commands', so a stamp from the future would end the orders of others.
STAMP_PARAMETERS: Final = "stamp timestamptz, max_ahead float8"
STAMP_GUARD: Final = f"""
        IF stamp > clock_timestamp() + make_interval(secs => max_ahead) THEN
            RAISE EXCEPTION 'the stamp is % s ahead of the database''s clock',
                round(extract(epoch FROM stamp - clock_timestamp()), 3)
                USING ERRCODE = '{_AHEAD}';
        END IF;"""
_READ_COMMITTED: Final = "SET default_transaction_isolation = 'read committed'"


class LockTimeout(OperationalError):
    """Another transaction held a lock for too long; nothing was changed."""


class IdsMoved(IntegrityError):
    """The events would have got other ids than was expected; nothing was changed."""


class StampAhead(PersistenceError):
    """The stamp of a command is ahead of the database's clock; nothing was changed."""


def recording(connection: psycopg.Connection[Any], call: Callable[[], T], lock: str) -> T:
    """Call a recording function, and translate its refusals; ``lock`` describes its lock.

    On a session with another preset isolation level, set the level and repeat the call, which
    has changed nothing. Raises PositionMoved, IdsMoved, SchemaOutdated, StampAhead or LockTimeout.
    """
    with refusals(lock):
        try:
            return call()
        except psycopg.DatabaseError as error:
            if error.sqlstate != _ISOLATED:
                raise
            connection.execute(_READ_COMMITTED)
            return call()


async def recording_async(
    connection: psycopg.AsyncConnection[Any], call: Callable[[], Awaitable[object]], lock: str
) -> None:
    """Do the same on an event loop."""
    with refusals(lock):
        try:
            await call()
        except psycopg.DatabaseError as error:
            if error.sqlstate != _ISOLATED:
                raise
            await connection.execute(_READ_COMMITTED)
            await call()


@contextmanager
def refusals(lock: str) -> Iterator[None]:
    """Translate the refusals of a recording function."""
    try:
        yield
    except psycopg.errors.IntegrityConstraintViolation as error:
        raise PositionMoved(str(error)) from error
    except psycopg.errors.LockNotAvailable as error:
        raise LockTimeout(f"Waiting for {lock}") from error
    except psycopg.DatabaseError as error:
        refusals = {_OUTDATED: SchemaOutdated, _AHEAD: StampAhead, IDS_MOVED: IdsMoved}
        refusal = refusals.get(error.sqlstate or "")
        if refusal is None:
            raise
        raise refusal(error.diag.message_primary) from error
