"""Cutting off a database that is silent, as a stopped process or a dead network is.

libpq waits for an answer as long as the connection lives, so whoever waits for it would wait
with it. A connection that was in use for too long is shut down under its thread, which then
finds it closed, and says so.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from psycopg import BaseConnection

_TICK_SECONDS: Final = 0.1
# A longer pause than this was ours, not the database's: this process stood still itself.
_LONGEST_TICK_SECONDS: Final = 0.3
_SUSPICIOUS_SHARE: Final = 6  # once the database has been silent, the time is so many times less

log = logging.getLogger(__name__)


class Watchdog:
    """A watch on the connections of one pool while they are in use.

    ``seconds`` is how long a use may take; after one that took longer, until one succeeds, it is
    a sixth of that, so that those who waited for the first don't wait as long again. 0: for ever.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0
        self._is_suspicious = False
        self._uses: set[_Use] = set()
        self._mutex = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, connection: BaseConnection[Any]) -> Iterator[None]:
        """Shut the connection down when what is done here takes too long."""
        if not self._seconds:
            yield
            return
        with self._mutex:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            use = _Use(connection, self._now + self._limit())
            self._uses.add(use)
        try:
            yield
        finally:
            with self._mutex:
                self._uses.discard(use)
                if not use.is_cut and not connection.closed:
                    self._is_suspicious = False

    def close(self) -> None:
        self._closing.set()

    def _limit(self) -> float:
        return self._seconds / _SUSPICIOUS_SHARE if self._is_suspicious else self._seconds

    def _run(self) -> None:
        before = time.monotonic()
        while not self._closing.wait(_TICK_SECONDS):
            after = time.monotonic()
            with self._mutex:
                self._now += min(after - before, _LONGEST_TICK_SECONDS)
                self._cut_off()
            before = after

    def _cut_off(self) -> None:
        due = [use for use in self._uses if use.deadline <= self._now and not use.is_cut]
        if not due:
            return
        if not self._is_suspicious:
            log.warning("the database does not answer: its connections are cut")
        self._is_suspicious = True
        for use in due:
            use.cut()
        for use in self._uses:
            use.deadline = min(use.deadline, self._now + self._limit())


class _Use:
    """A use of a connection."""

    __slots__ = ("_connection", "_descriptor", "deadline", "is_cut")

    def __init__(self, connection: BaseConnection[Any], deadline: float) -> None:
        self._connection = connection
        self._descriptor = connection.fileno()
        self.deadline = deadline
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True
        with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as connection:
            # The number may have become another's, but not before this connection was closed.
            if not self._connection.closed:
                connection.shutdown(socket.SHUT_RDWR)
