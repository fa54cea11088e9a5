"""Being woken by PostgreSQL: LISTEN first, then look, so that nothing is missed."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar, cast

import psycopg
from psycopg.sql import SQL, Identifier

from application.persistence.connection import AWAY, connect
from application.persistence.following import LOOK_ANYWAY_SECONDS, BatchProcess
from application.persistence.partitions import NOTHING, Published, Reach, covers
from application.waiting import Mark
from system import Market, followings

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOSING_SECONDS: Final = 1.0  # for a connection that is being opened at the end


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
    try:
        for channel in channels:
            connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
    except BaseException:
        connection.close()
        raise
    return connection


class Bell:
    """The listener of an event loop, for many that wait for an application to get somewhere.

    It knows how far each has come: by what they tell when they commit, and by looking, as
    soon as it listens, and from then on each second while somebody waits. What blocks is done in a
    thread of its own; all else on the loop, which alone knows and waits, so nothing is locked.
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
        self._is_ending = False
        self._silence_seconds = silence_seconds
        self._looked = 0.0  # when it did so last, as time.monotonic() has it
        self.is_informed = False  # whether what is known is as new as can be
        self._thread = ThreadPoolExecutor(1, "bell")

    async def run(self) -> None:
        """Listen, until this is cancelled; after an error begin again."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection = await self._listen()
                has_come = asyncio.Event()
                loop.add_reader(connection.fileno(), has_come.set)
                try:
                    self._forget()
                    await self._look()
                    self.is_informed = True
                    await self._hear_all(connection, has_come)
                finally:
                    loop.remove_reader(connection.fileno())
                    connection.close()
            except Exception as error:  # whatever it is, others wait for this
                self.is_informed = False
                expected = isinstance(error, (psycopg.Error, *AWAY))
                log.warning(
                    "not listening",
                    extra={"error": str(error).strip()},
                    exc_info=None if expected else error,
                )
                await asyncio.sleep(LOOK_ANYWAY_SECONDS)

    def end_waits(self) -> None:
        """Make all that wait, now or later, go on as if their time were over."""
        self._is_ending = True
        for waiter in self._waiting:
            waiter.end()

    def has_reached(self, mark: Mark) -> bool:
        positions = self._followed[mark.name]
        if len(positions) == 1 and not self._published:
            return positions[0] >= mark.position  # asked for each that waits, whenever one moves
        [leader] = [leader for each, leader in self._followings.items() if each.name == mark.name]
        published = self._published.get(leader, NOTHING)
        return covers(positions, mark.position, mark.asset, published)

    @property
    def is_by_partition(self) -> bool:
        return any(len(positions) > 1 for positions in self._followed.values())

    def recorded(self, name: str) -> int:
        return self._recorded[name]

    async def drive(
        self,
        steps: Generator[Mark, None, T],
        seconds: float,
        *,
        begun: float | None = None,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Take the steps of a wait to their result.

        ``begun``: when the request began (monotonic seconds; now, unless given), as the database
        may have been silent since then. ``gone`` is awaited beside: its end ends the wait.
        Raises TimeoutError when ``seconds`` are over, or the database is silent, or it has ended.
        """
        waiter = _Waiter(steps)
        if waiter.step():
            return cast("T", waiter.result.result())
        if self._is_ending or seconds <= 0:
            raise TimeoutError
        self._waiting.append(waiter)
        leaving = None
        if gone is not None:
            leaving = asyncio.ensure_future(gone())
            leaving.add_done_callback(lambda _: waiter.end())
        try:
            await self._wait(waiter.result, seconds, begun)
            return cast("T", waiter.result.result())
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            if leaving is not None:
                leaving.cancel()

    async def _wait(
        self, result: asyncio.Future[object], seconds: float, begun: float | None
    ) -> None:
        now = time.monotonic()
        end = now + seconds
        begun = now if begun is None else begun
        while not result.done():
            # While somebody waits the bell looks every second, if it can.
            silent = max(begun, self._looked) + self._silence_seconds
            left = min(end, silent) - time.monotonic()
            if left <= 0:
                raise TimeoutError
            await asyncio.wait([result], timeout=left)

    async def _listen(self) -> psycopg.Connection[Any]:
        opening = asyncio.ensure_future(
            self._in_thread(listen, self._env, [*self._names, *self._leaders])
        )
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread opens it all the same, and nobody else would close it.
            with suppress(*AWAY, psycopg.Error, TimeoutError):
                (await asyncio.wait_for(opening, _CLOSING_SECONDS)).close()
            raise

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(call, *arguments))

    async def _hear_all(self, connection: psycopg.Connection[Any], has_come: asyncio.Event) -> None:
        look = asyncio.get_running_loop().time() + LOOK_ANYWAY_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(look):
                    await has_come.wait()
            has_come.clear()
            for notify in connection.notifies(timeout=0):
                self._hear(News.of(notify))
            self._go_on()
            if asyncio.get_running_loop().time() >= look:
                if self._waiting:
                    await self._look()
                look = asyncio.get_running_loop().time() + LOOK_ANYWAY_SECONDS

    def _forget(self) -> None:
        """A crash may have taken what a view had not flushed, and what a publisher had."""
        self._followed = dict.fromkeys(self._names.values(), (0,))
        self._recorded = dict.fromkeys(self._names.values(), 0)
        self._published = {}

    def _hear(self, news: News) -> None:
        if news.channel in self._leaders:
            published = Published(news.recorded or 0, news.followed)
            self._publish(self._leaders[news.channel], published)
        else:
            self._reach(self._names[news.channel], news.followed, news.recorded or 0)

    async def _look(self) -> None:
        for reached in await self._in_thread(self._positions):
            self._reach(*reached)
        for each in self._published_logs:
            self._publish(each.leader, await self._in_thread(each.published))
        self._looked = time.monotonic()
        self._go_on()

    def _positions(self) -> list[tuple[str, Sequence[int], int]]:
        """Read of each follower its positions, and the end of its log."""
        found = []
        for follower, leader in self._followings.items():
            # In this order: what came of a position is recorded when the position is.
            positions = Reach.read(follower.recorder, leader).positions
            recorded = 0
            if isinstance(follower, BatchProcess):
                recorded = follower.recorder.max_notification_id() or 0
            found.append((follower.name, positions, recorded))
        return found

    def _reach(self, name: str, positions: Sequence[int], recorded: int) -> None:
        """All only ever grow, whatever comes in which order."""
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
        """Let all go on whose mark is reached."""
        self._waiting = [
            waiter
            for waiter in self._waiting
            if not (waiter.result.done() or (self.has_reached(waiter.mark) and waiter.step()))
        ]


class _Waiter:
    """Steps of which each waits for a mark, and the future of their result."""

    mark: Mark  # what it waits for

    def __init__(self, steps: Generator[Mark, None, Any]) -> None:
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._steps = steps

    def step(self) -> bool:
        """Go on to what comes next; return whether that is the result."""
        try:
            self.mark = next(self._steps)
        except StopIteration as end:
            self.result.set_result(end.value)
            return True
        return False

    def end(self) -> None:
        """Make it go on without a result."""
        if not self.result.done():
            self.result.set_exception(TimeoutError())
            self.result.exception()  # nobody may be there any more to ask for it
