"""Being woken by PostgreSQL: LISTEN first, then look, so that nothing is missed."""

import logging
import math
import threading
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import psycopg
from psycopg.sql import SQL, Identifier

from application.persistence.connection import AWAY, connect
from application.persistence.following import LOOK_ANYWAY_SECONDS, BatchProcess
from application.persistence.partitions import NOTHING, Published, Reach, covers
from application.waiting import Mark
from system import Market, followings

log = logging.getLogger(__name__)

T = TypeVar("T")


class News(NamedTuple):
    """The ids in two logs that a recorder has committed, see EventRecorder."""

    channel: str
    recorded: int | None  # the last id in its own log
    followed: Sequence[int]  # its positions in its leader's log; none: it is what users asked

    @classmethod
    def of(cls, notify: psycopg.Notify) -> Self:
        recorded, _, followed = notify.payload.partition(":")
        positions = [_number(text) for text in followed.split(",")]
        known = [each for each in positions if each is not None]
        return cls(notify.channel, _number(recorded), known if len(known) == len(positions) else ())

    @property
    def is_command(self) -> bool:
        return not self.followed


def _number(text: str) -> int | None:
    """None also for what is none of ours: anybody may say something on a channel."""
    return int(text) if text.isascii() and text.isdigit() else None


class PublishedLog(Protocol):
    """The published position of a leader's log."""

    leader: str

    @property
    def channel(self) -> str: ...

    def published(self) -> Published: ...


def listen(env: Mapping[str, str], channels: Iterable[str]) -> psycopg.Connection[Any]:
    """Open a connection that listens; ``env`` is the library's."""
    connection = connect(env)
    for channel in channels:
        connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
    return connection


class Bell:
    """One thread that listens for many that wait for an application to get somewhere.

    It knows how far each has come: by what they tell when they commit, and by looking, as
    soon as it listens, and from then on each second while somebody waits.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        market: Market,
        published: Sequence[PublishedLog] = (),
        *,
        silence_seconds: float = math.inf,
    ) -> None:
        """``published``: what is published of the logs, where followers are fed from that.

        Nobody waits once the database has been silent for ``silence_seconds``.
        """
        self._env = env
        self._market = market
        self._published_logs = published
        # A follower of several logs by the last of them, where it has what is due by the others.
        self._followings = dict(followings(market))
        self._names = {app.recorder.channel_name: app.name for app in market}
        self._leaders = {each.channel: each.leader for each in published}
        # The known positions of followers, and of leaders, by their names.
        self._followed: dict[str, Sequence[int]] = {}
        self._recorded: dict[str, int] = {}
        self._published: dict[str, Published] = {}
        self._forget()
        self._waiting: list[_Waiter] = []
        self._mutex = threading.Lock()
        self._stopping = False
        self._silence_seconds = silence_seconds
        self._looked = 0.0  # when it did so last, as time.monotonic() has it
        self.is_informed = False  # whether what is known is as new as can be
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; those that still wait do so until their time is over."""
        self._stopping = True
        self._thread.join()

    def has_reached(self, mark: Mark) -> bool:
        [leader] = [leader for each, leader in self._followings.items() if each.name == mark.name]
        published = self._published.get(leader, NOTHING)
        return covers(self._followed[mark.name], mark.position, mark.asset, published)

    @property
    def is_by_partition(self) -> bool:
        return any(len(positions) > 1 for positions in self._followed.values())

    def recorded(self, name: str) -> int:
        return self._recorded[name]

    def drive(
        self, steps: Generator[Mark, None, T], seconds: float, begun: float | None = None
    ) -> T:
        """Take the steps of a wait to their result.

        The bell's thread takes all but the first, so that a waiting thread is woken only once.
        ``begun``: when the request began (monotonic seconds; now, unless given), as the database
        may have been silent since then.
        Raises TimeoutError when ``seconds`` are over, or the database is silent.
        """
        waiter = _Waiter(steps)
        with self._mutex:
            self._step(waiter)
        if not self._wait(waiter, seconds, begun):
            with self._mutex:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                    raise TimeoutError
        result: T = waiter.result
        return result

    def _wait(self, waiter: "_Waiter", seconds: float, begun: float | None) -> bool:
        end = time.monotonic() + max(seconds, 0)
        begun = time.monotonic() if begun is None else begun
        while True:
            # While somebody waits the bell looks every second, if it can.
            silent = max(begun, self._looked) + self._silence_seconds
            now = time.monotonic()
            if waiter.lock.acquire(timeout=max(min(end, silent) - now, 0)):
                return True
            now = time.monotonic()
            if now >= end or now >= max(begun, self._looked) + self._silence_seconds:
                return False

    def _step(self, waiter: "_Waiter") -> None:
        """Make one wait for what comes next, or go on. Under the mutex."""
        try:
            waiter.mark = next(waiter.steps)
        except StopIteration as end:
            waiter.result = end.value
            waiter.lock.release()
        else:
            self._waiting.append(waiter)

    def _run(self) -> None:
        while not self._stopping:
            try:
                with listen(self._env, [*self._names, *self._leaders]) as connection:
                    with self._mutex:
                        self._forget()
                    self._look()
                    self.is_informed = True
                    while not self._stopping:
                        for notify in connection.notifies(timeout=LOOK_ANYWAY_SECONDS):
                            self._hear(News.of(notify))
                        if self._waiting:
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

    def _forget(self) -> None:
        """A crash may have taken what a view had not flushed, and what a publisher had."""
        self._followed = dict.fromkeys(self._names.values(), (0,))
        self._recorded = dict.fromkeys(self._names.values(), 0)
        self._published = {}

    def _hear(self, news: News) -> None:
        with self._mutex:
            if news.channel in self._leaders:
                published = Published(news.recorded or 0, news.followed)
                self._publish(self._leaders[news.channel], published)
            else:
                self._reach(self._names[news.channel], news.followed, news.recorded or 0)
            self._go_on()

    def _look(self) -> None:
        for follower, leader in self._followings.items():
            # In this order: what came of a position is recorded when the position is.
            positions = Reach.read(follower.recorder, leader).positions
            recorded = 0
            if isinstance(follower, BatchProcess):
                recorded = follower.recorder.max_notification_id() or 0
            with self._mutex:
                self._reach(follower.name, positions, recorded)
        for each in self._published_logs:
            published = each.published()
            with self._mutex:
                self._publish(each.leader, published)
        self._looked = time.monotonic()
        with self._mutex:
            self._go_on()

    def _reach(self, name: str, positions: Sequence[int], recorded: int) -> None:
        """All only ever grow, whatever comes in which order. Under the mutex."""
        known = self._followed[name]
        if len(positions) == len(known):
            self._followed[name] = [*map(max, known, positions)]
        elif positions:
            self._followed[name] = positions
        self._recorded[name] = max(self._recorded[name], recorded)

    def _publish(self, leader: str, published: Published) -> None:
        """Note a published position as ``_reach`` does: it stays true, whatever topics become."""
        known = self._published.get(leader, NOTHING)
        if published.upto > known.upto or len(published.ends) > len(known.ends):
            self._published[leader] = published

    def _go_on(self) -> None:
        """Let all go on whose mark is reached. Under the mutex."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if self.has_reached(waiter.mark):
                self._step(waiter)
            else:
                self._waiting.append(waiter)


class _Waiter:
    """A thread that waits; ``lock`` is held until there is a result."""

    mark: Mark  # what it waits for

    def __init__(self, steps: Generator[Mark, None, Any]) -> None:
        self.steps = steps
        self.result: Any = None
        self.lock = threading.Lock()
        self.lock.acquire()
