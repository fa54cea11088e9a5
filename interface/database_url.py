"""What a DATABASE_URL means to the event sourcing library and to libpq."""

from typing import Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

SCHEME: Final = "postgresql://"

_HIGHEST_PORT: Final = 65535

_LIBRARY: Final = {
    "dbname": "POSTGRES_DBNAME",
    "host": "POSTGRES_HOST",
    "port": "POSTGRES_PORT",
    "user": "POSTGRES_USER",
    "password": "POSTGRES_PASSWORD",
}
# The library connects with the five above and nothing else. What libpq also reads from its
# environment can still be had: these.
_LIBPQ: Final = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "options": "PGOPTIONS",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def database_env(url: str) -> dict[str, str]:
    """Give the library's environment for a database: its POSTGRES_* variables.

    Parameters such as sslmode are not among them: see libpq_env().
    Raise ValueError when the URL is not one that we can use in full.
    """
    parsed = _parse(url)
    env = {name: parsed[key] for key, name in _LIBRARY.items() if key in parsed}
    # The library insists on a password, libpq doesn't: trust, peer and certificates need none.
    return {"POSTGRES_PASSWORD": "", "POSTGRES_PORT": "5432"} | env


def libpq_env(url: str) -> dict[str, str]:
    """Give what libpq must find in os.environ before the process opens its first connection.

    Every process that connects through the library does `os.environ.update(libpq_env(url))`
    at its start: the library has no way of its own to hand these parameters on.
    Raise ValueError as database_env() does.
    """
    parsed = _parse(url)
    return {name: parsed[key] for key, name in _LIBPQ.items() if key in parsed}


def _parse(url: str) -> dict[str, str]:
    if not url.startswith(SCHEME):
        raise ValueError(f"must begin with {SCHEME}")
    try:
        parsed = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except ProgrammingError as error:
        # Most of libpq's messages repeat a part of the URL, which may be the password.
        if "query parameter:" in str(error):
            raise ValueError(f"has an {str(error).strip()}") from None
        raise ValueError("is no URL; special characters in it are percent-encoded") from None
    if unsupported := sorted(parsed.keys() - _LIBRARY.keys() - _LIBPQ.keys()):
        raise ValueError(f"has parameters that are not supported: {', '.join(unsupported)}")
    if missing := [key for key in ("user", "host", "dbname") if not parsed.get(key)]:
        raise ValueError(f"must name a user, a host and a database; missing: {', '.join(missing)}")
    # One for each host where there are several; libpq takes none for its default.
    for port in filter(None, parsed.get("port", "").split(",")):
        if not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
            raise ValueError(f"must have a port from 1 to {_HIGHEST_PORT}")
    return parsed
