"""The SQLSTATE with which a server refuses a connection.

libpq gives the message alone, which is in the server's language, so the code is read from a
trace of the protocol.
"""

import os
import re
import time
from select import POLLIN, POLLOUT, poll
from typing import Final

import psycopg
from psycopg import pq

_CODE: Final = re.compile(rb'\tErrorResponse\t.* C "([0-9A-Z]{5})" ')


def refusal_code(conninfo: str, seconds: float = 5) -> str | None:
    """Try to connect, and give the SQLSTATE of the refusal.

    None: there was no refusal, no server answered, or the system can't trace (not Linux).
    """
    if not hasattr(os, "memfd_create"):
        return None
    file = os.memfd_create("trace")
    try:
        connection = pq.PGconn.connect_start(conninfo.encode())
        try:
            connection.trace(os.dup(file))
            _connect(connection, time.monotonic() + seconds)
            connection.untrace()
        finally:
            connection.finish()
        os.lseek(file, 0, os.SEEK_SET)
        codes = _CODE.findall(os.read(file, 1_000_000))
    except psycopg.Error:
        return None
    finally:
        os.close(file)
    return codes[-1].decode() if codes else None


def _connect(connection: pq.abc.PGconn, deadline: float) -> None:
    while connection.status != pq.ConnStatus.BAD and time.monotonic() < deadline:
        status = connection.connect_poll()
        if status == pq.PollingStatus.READING:
            events = POLLIN
        elif status == pq.PollingStatus.WRITING:
            events = POLLOUT
        else:
            return
        ready = poll()
        ready.register(connection.socket, events)
        ready.poll(max(deadline - time.monotonic(), 0) * 1000)
