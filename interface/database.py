"""The database at the start of a process: whether it answers, serves the market, and has room."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg
from eventsourcing.persistence import PersistenceError

from application.persistence.connection import CONNINFO, DatabaseUnusable
from application.persistence.database import check
from application.persistence.database_clock import MAX_AHEAD
from application.persistence.migrations import SchemaOutdated
from application.persistence.refusal import refusal_code
from application.persistence.schemas import SETTING
from interface.connections import Need
from interface.database_url import database_env
from interface.errors import DatabaseError, NoDatabase
from interface.process import never
from interface.settings import Settings
from system import create_tables

_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5
_LONGEST: Final = 300  # characters of what PostgreSQL says

# SQLSTATE: too many connections, starting or shutting down, a lock or a time-out, and the like.
# Any other answer of a server will not change if it is asked again.
_MAY_PASS: Final = re.compile("08|23505|25P0[34]|40|53|55P03|57|XX")

_TOO_MANY: Final = "53300"

T = TypeVar("T")
log = logging.getLogger(__name__)


def usable_database(  # noqa: PLR0913 - what to use, for what, and how long to try
    url: str,
    settings: Settings,
    need: Need | None = None,
    *,
    warn: bool = True,
    patience: float = _PATIENCE_SECONDS,
    cancelled: Callable[[], bool] = never,
) -> dict[str, str]:
    """Give the library's environment for a database that can serve the market, tables made.

    Raise DatabaseError when it can't, and NoDatabase when it does not answer for ``patience``
    seconds. ``need``: the connections of those who are about to use it. ``warn``: log what it
    should be warned of.
    """
    env = {
        **database_env(url),
        SETTING: settings.database_schema,
        MAX_AHEAD: str(settings.max_clock_ahead_seconds),
    }
    findings = when_it_answers(env, lambda: check(env), need, patience, cancelled)
    room = f"there are {findings.capacity} connections, and the service takes {need}"
    if need is not None and findings.capacity < need.least:
        raise DatabaseError(room)
    when_it_answers(env, lambda: create_tables(env), need, patience, cancelled)
    if warn:
        for warning in findings.warnings:
            log.warning(warning)
        if need is not None and findings.capacity < need.most:
            log.warning(room)
    return env


def when_it_answers(
    env: Mapping[str, str],
    work: Callable[[], T],
    need: Need | None,
    patience: float,
    cancelled: Callable[[], bool],
) -> T:
    """Do what needs the database, again while it may yet succeed. Raise as usable_database()."""
    deadline = time.monotonic() + patience
    told = ""
    while True:
        try:
            return work()
        except (DatabaseUnusable, SchemaOutdated) as error:
            raise DatabaseError(str(error)) from None
        except (psycopg.Error, PersistenceError) as error:
            reason, code = _reason(error), _code(error, env)
            if code is not None and not _MAY_PASS.match(code):
                raise DatabaseError(f"{reason} (SQLSTATE {code})") from error
            if cancelled() or time.monotonic() > deadline:
                if code == _TOO_MANY and need is not None:
                    reason += f". The service takes {need}"
                raise NoDatabase(f"no answer for {patience:.0f} s: {reason}") from error
        if reason != told:
            told = reason
            log.warning("Database unavailable, trying again", extra={"error": reason})
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def telling_why() -> Iterator[None]:
    """Turn what a process meets later, such as tables of a newer release, into a DatabaseError."""
    try:
        yield
    except (DatabaseUnusable, SchemaOutdated) as error:
        raise DatabaseError(str(error)) from None


def _code(error: BaseException, env: Mapping[str, str]) -> str | None:
    """The SQLSTATE of an error, or of the refusal to connect that it stands for."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error) and cause.sqlstate:
            return cause.sqlstate
        cause = cause.__cause__
    return refusal_code(env[CONNINFO])


def _reason(error: BaseException) -> str:
    """Return what PostgreSQL or libpq says, in one line; of several hosts, of the last one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("LINE ", "CONTEXT", "Multiple "))]
    return " ".join(told[:3])[:_LONGEST].rstrip(".") or type(error).__name__
