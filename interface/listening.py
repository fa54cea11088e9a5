"""Being woken by PostgreSQL: LISTEN first, then look, so that nothing is missed."""

import logging
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg.sql import SQL, Identifier

from application.persistence.connection import AWAY, connect
from application.persistence.following import BatchProcess
from application.waiting import Mark, Reached
from system import Market, followings

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
    """None also for what is none of ours: anybody may say something on a channel."""
    return int(text) if text.isascii() and text.isdigit() else None


def listen(env: Mapping[str, str], channels: Iterable[str]) -> psycopg.Connection[Any]:
    """Opens a connection that listens; ``env`` is the library's."""
    connection = connect(env)
    for channel in channels:
        connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
    return connection


class Bell:
    """One thread that listens for many that wait for an application to get somewhere.

    It knows how far each has come: by what they tell when they commit, and by looking, as
    soon as it listens, and from then on each second while somebody waits.
    """

    def __init__(self, env: Mapping[str, str], market: Market) -> None:
        self._env = env
        self._market = market
        self._names = {app.recorder.channel_name: app.name for app in market}
        self._reached = {app.name: Reached(0, 0) for app in market}
        self._waiting: dict[str, list[_Waiter]] = {app.name: [] for app in market}
        self._mutex = threading.Lock()
        self._stopping = False
        self.is_informed = False  # whether what is known is as new as can be
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; who still waits does so until its time is over."""
        self._stopping = True
        self._thread.join()

    def reached(self, name: str) -> Reached:
        """How far an application has come, at least."""
        return self._reached[name]

    def drive(self, steps: Generator[Mark, None, T], seconds: float) -> T:
        """Takes the steps of a wait to their result.

        The bell's thread takes all but the first, so that who waits is woken only once.
        Raises TimeoutError when ``seconds`` are over.
        """
        waiter = _Waiter(steps)
        with self._mutex:
            self._step(waiter)
        if not waiter.lock.acquire(timeout=max(seconds, 0)):
            with self._mutex:
                if waiter in self._waiting[waiter.mark.name]:
                    self._waiting[waiter.mark.name].remove(waiter)
                    raise TimeoutError
        result: T = waiter.result
        return result

    def _step(self, waiter: "_Waiter") -> None:
        """Has one wait for what comes next, or go on. Under the mutex."""
        try:
            waiter.mark = next(waiter.steps)
        except StopIteration as end:
            waiter.result = end.value
            waiter.lock.release()
        else:
            self._waiting[waiter.mark.name].append(waiter)

    def _run(self) -> None:
        while not self._stopping:
            try:
                with listen(self._env, self._names) as connection:
                    self._look(anew=True)
                    self.is_informed = True
                    while not self._stopping:
                        for notify in connection.notifies(timeout=LOOK_ANYWAY_SECONDS):
                            news = News.of(notify)
                            name = self._names[news.channel]
                            self._reach(name, Reached(news.followed or 0, news.recorded or 0))
                        if any(self._waiting.values()):
                            self._look()
            except Exception as error:  # whatever it is, others wait for this thread
                self.is_informed = False
                expected = isinstance(error, (psycopg.Error, *AWAY))
                log.warning(
                    "not listening",
                    extra={"error": str(error).strip()},
                    exc_info=None if expected else error,
                )
                time.sleep(LOOK_ANYWAY_SECONDS)

    def _look(self, *, anew: bool = False) -> None:
        """``anew``: forgets what was known; a crash may have taken what a view had not flushed."""
        for follower, leader in followings(self._market):
            # In this order: what came of a position is recorded when the position is.
            followed = follower.recorder.max_tracking_id(leader) or 0
            recorded = 0
            if isinstance(follower, BatchProcess):
                recorded = follower.recorder.max_notification_id() or 0
            self._reach(follower.name, Reached(followed, recorded), anew=anew)

    def _reach(self, name: str, news: Reached, *, anew: bool = False) -> None:
        """Both only ever grow, whatever comes in which order."""
        with self._mutex:
            known = Reached(0, 0) if anew else self._reached[name]
            reached = Reached(
                max(known.followed, news.followed), max(known.recorded, news.recorded)
            )
            self._reached[name] = reached
            waiting, self._waiting[name] = self._waiting[name], []
            for waiter in waiting:
                if waiter.mark.position <= reached.followed:
                    self._step(waiter)
                else:
                    self._waiting[name].append(waiter)


class _Waiter:
    """A thread that waits; ``lock`` is held until there is a result."""

    mark: Mark  # what it waits for

    def __init__(self, steps: Generator[Mark, None, Any]) -> None:
        self.steps = steps
        self.result: Any = None
        self.lock = threading.Lock()
        self.lock.acquire()
