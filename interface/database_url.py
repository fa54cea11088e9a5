"""A DATABASE_URL in the terms of libpq and of the event sourcing library."""

import os
from collections.abc import Mapping
from typing import Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from application.persistence.connection import CONNINFO

_HIGHEST_PORT: Final = 65535

# The library insists on five values of its own, which only name the database here: what
# connections are opened with is the whole of it, as libpq takes it.

_LIBRARY: Final = {
    "dbname": "POSTGRES_DBNAME",
    "host": "POSTGRES_HOST",
    "port": "POSTGRES_PORT",
    "user": "POSTGRES_USER",
    "password": "POSTGRES_PASSWORD",
}
# Over TCP: a machine that is gone is noticed after 11 s, not after hours.
_KEEP_ALIVE: Final[Mapping[str, str]] = {
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "11000",
}
_CONNECT_SECONDS: Final = "5"
_APPLICATION: Final = "order-matching-engine"


def database_env(url: str) -> dict[str, str]:
    """Give the library's environment for a database: its POSTGRES_* variables.

    Take every URL and every string of key=value that libpq takes; what it leaves open comes from
    libpq's own environment (PGPASSWORD, PGPASSFILE, PGSERVICE, ...) and defaults.
    Raise ValueError when libpq does not take it.
    """
    parsed = _parse(url)
    return {
        **{name: parsed.get(key, "") for key, name in _LIBRARY.items()},
        CONNINFO: make_conninfo(**{**_defaults(parsed), **parsed}),
    }


def _defaults(parsed: Mapping[str, str]) -> dict[str, str]:
    """Return the defaults that differ from libpq's own."""
    defaults = {"fallback_application_name": _APPLICATION}
    if "service" not in parsed and "PGSERVICE" not in os.environ:
        # These parameters go before those of a service file, which may have them as well.
        defaults |= _KEEP_ALIVE
        if "PGCONNECT_TIMEOUT" not in os.environ:
            defaults["connect_timeout"] = _CONNECT_SECONDS
    return defaults


def _parse(url: str) -> dict[str, str]:
    try:
        parsed = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except ProgrammingError as error:
        # Most of libpq's messages repeat a part of the URL, which may be the password.
        message = str(error).strip()
        if "query parameter:" in message or message.startswith("invalid connection option"):
            raise ValueError(f"has an {message}") from None
        raise ValueError(
            "must be postgresql://user:password@host:port/name, with special characters"
            " percent-encoded, or key=value pairs as libpq takes them"
        ) from None
    # One for each host where there are several; libpq takes none for its default.
    for port in filter(None, parsed.get("port", "").split(",")):
        if not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
            raise ValueError(f"must have a port from 1 to {_HIGHEST_PORT}")
    return parsed
