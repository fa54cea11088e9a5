"""Being woken by PostgreSQL: LISTEN first, then look, so that nothing is missed."""

import logging
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg.sql import SQL, Identifier

from application.persistence.connection import connect

log = logging.getLogger(__name__)

LOOK_ANYWAY_SECONDS = 1.0  # a notification may be lost with its sender: look this often

T = TypeVar("T")


class News(NamedTuple):
    """What a recorder says when it has committed, see EventRecorder: ids in two logs."""

    channel: str
    recorded: int | None  # the last id in its own log
    followed: int | None  # the position in its leader's log; None: what users asked

    @classmethod
    def of(cls, notify: psycopg.Notify) -> "News":
        recorded, _, followed = notify.payload.partition(":")
        return cls(notify.channel, _number(recorded), _number(followed))

    @property
    def is_command(self) -> bool:
        return self.followed is None


def _number(text: str) -> int | None:
    return int(text) if text else None


def listen(env: Mapping[str, str], channels: Iterable[str]) -> psycopg.Connection[Any]:
    """Opens a connection that listens; ``env`` is the library's."""
    connection = connect(env)
    for channel in channels:
        connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
    return connection


class Bell:
    """One thread that listens for many that wait for something to change."""

    def __init__(self, env: Mapping[str, str], channels: Iterable[str]) -> None:
        self._env = env
        self._channels = tuple(channels)
        self._rung = 0
        self._stopping = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._listen, name="bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; who still waits looks by itself, until its time is over."""
        self._stopping = True
        self._thread.join()

    def drive(self, steps: Generator[None, None, T], seconds: float) -> T:
        """Takes the steps of a wait, one each time the bell rings, to their result.

        Raises TimeoutError when ``seconds`` are over.
        """
        deadline = time.monotonic() + seconds
        while True:
            rung = self._rung
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            with self._condition:
                self._condition.wait_for(
                    lambda before=rung: self._rung != before,  # type: ignore[misc]
                    timeout=min(left, LOOK_ANYWAY_SECONDS),
                )

    def _listen(self) -> None:
        while not self._stopping:
            try:
                with listen(self._env, self._channels) as connection:
                    self._ring()
                    while not self._stopping:
                        for _ in connection.notifies(timeout=LOOK_ANYWAY_SECONDS):
                            self._ring()
            except psycopg.Error as error:
                log.warning("not listening", extra={"error": str(error).strip()})
                time.sleep(LOOK_ANYWAY_SECONDS)

    def _ring(self) -> None:
        with self._condition:
            self._rung += 1
            self._condition.notify_all()
