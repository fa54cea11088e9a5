"""The engine: its followers, those of Matching's events fused with it, and their wake-ups.

PostgreSQL wakes who has something to do. If a notification gets lost, each looks by itself every
second. The library's runners don't catch up at start, and its subscriptions pull before they
listen; so this is a loop of our own over its followers.

Of several engines, one is at work for each follower: it holds an advisory lock. The others
stand by, and take over as soon as it is gone. Nothing depends on that (positions move by
compare-and-set); it keeps two from deciding everything twice.
"""

import gc
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from application.orders import Orders
from application.persistence.connection import connect
from application.persistence.following import LOOK_ANYWAY_SECONDS, BatchFollower
from application.persistence.locks import try_lock
from application.persistence.migrations import SCHEMA_VERSION
from application.persistence.snapshot_holders import SnapshotHolders
from application.persistence.standstills import Standstills, WorkerState
from interface.following import Following
from interface.fusing import fuse
from interface.listening import News
from system import FOLLOWERS, Market, build, followings

log = logging.getLogger(__name__)

# Seconds, and how often: a machine that doesn't answer is given up after 11 s.
_KEEP_ALIVE = """SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2;
    SET tcp_keepalives_count = 3; SET tcp_user_timeout = 11000; SET idle_session_timeout = '15s'"""
_ROUND_SECONDS = 5.0  # between such looks; whose watch is silent for longer loses its locks
_ALL = "all followers"
_LOCK_AGAIN_SECONDS = 0.2  # how soon who stands by notices that it is its turn


Followings = Iterable[tuple[BatchFollower, str]]  # each follower with the name of its leader
Others = Callable[[Market], Followings]
MakeFollowing = Callable[[BatchFollower, Sequence[str], int, threading.Event], Following]


def no_others(_market: Market) -> Followings:
    """Return the followers beyond the market's: none."""
    return ()


class Engine:
    """A thread for each follower, until it is stopped, or one of them fails for good."""

    def __init__(
        self,
        env: Mapping[str, str],
        batch_size: int = 500,
        names: Collection[str] = FOLLOWERS,
        others: Others = no_others,
        make: MakeFollowing = Following,
    ) -> None:
        """``names`` says which of the market's followers; ``others`` makes those beside them.

        ``make`` gives each its thread, and so its way to follow.
        """
        self._env = env
        self._market = build(env)
        self._stopping = threading.Event()
        pairs = [pair for pair in followings(self._market) if pair[0].name in names]
        self._others = list(others(self._market))
        leaders: dict[BatchFollower, list[str]] = defaultdict(list)
        for follower, leader in pairs + self._others:
            leaders[follower].append(leader)
        alone = [make(each, leaders[each], batch_size, self._stopping) for each in leaders]
        self._followings = fuse(alone, batch_size, self._stopping)
        self.standstills = Standstills(self._market.orders.recorder.datastore)
        for following in self._followings:
            following.state = WorkerState(self.standstills, following.follower.name)
        self._is_whole = set(FOLLOWERS) <= set(names)
        self._leads = False  # of those that have all followers, it is the one that works
        self._watch = threading.Thread(target=self._run, name="watch")
        self._snapshot_holders = SnapshotHolders()
        self._failure: BaseException | None = None

    def start(self) -> None:
        for thread in (*self._followings, self._watch):
            thread.start()

    def stop(self) -> None:
        """Ask the followers to finish the batch that they are at."""
        self._stopping.set()
        for following in self._followings:
            following.interrupt()

    def is_at_work(self, name: str) -> bool:
        """Test if it is this engine's turn to be the follower of this name."""
        return any(each.is_our_turn for each in self._followings if each.follower.name == name)

    def join(self) -> None:
        """Wait for the end. Raises the error of a follower, or of the watch."""
        for thread in (*self._followings, self._watch):
            thread.join()
        self._market.close()
        for follower, _ in self._others:
            follower.close()
        for failure in (self._failure, *(each.failure for each in self._followings)):
            if failure is not None:
                raise failure

    def _run(self) -> None:
        try:
            self._keep_watch()
        except BaseException as error:
            log.exception("watch failed")
            self._failure = error
        finally:
            self.stop()

    def _keep_watch(self) -> None:
        """Keep the connection that listens, and that holds the locks."""
        while not self._stopping.is_set():
            try:
                with connect(self._env) as connection:
                    self._listen(connection)
            except psycopg.Error as error:
                log.warning(
                    "Database unavailable, retrying in 1 s", extra={"error": str(error).strip()}
                )
                self._stopping.wait(LOOK_ANYWAY_SECONDS)
            finally:
                self._leads = False
                for following in self._followings:
                    following.is_our_turn = False

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        # PostgreSQL is to notice soon that a machine is gone, and give its locks to others.
        connection.execute(_KEEP_ALIVE)
        heard: set[str] = set()
        due = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= due:
                if self.is_at_work(Orders.name):  # one engine says it
                    self._snapshot_holders.look(connection)
                due = time.monotonic() + _ROUND_SECONDS
            self._take_turns(connection)
            channels = {
                channel
                for each in self._followings
                if not each.is_joined
                for channel in each.channels
            }
            for channel in channels - heard:
                connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
            for channel in heard - channels:
                connection.execute(SQL("UNLISTEN {}").format(Identifier(channel)))
            heard = channels
            is_complete = all(following.is_our_turn for following in self._followings)
            if is_complete:
                for notify in connection.notifies(timeout=LOOK_ANYWAY_SECONDS, stop_after=1):
                    self._tell(notify)
            else:
                # To the end of the time, whatever is heard: locks are asked for now and then.
                for notify in connection.notifies(timeout=_LOCK_AGAIN_SECONDS):
                    self._tell(notify)

    def _take_turns(self, connection: psycopg.Connection[Any]) -> None:
        """Take the turns that are free, all of which end with the connection.

        Of engines that have all followers one takes them: if two had some each, both would go on
        with their own, apart, for as long as they live.
        """
        if self._is_whole and not self._leads:
            self._leads = try_lock(connection, self._env, turn(_ALL))
        for following in self._followings:
            is_shared, name = following.shares_its_turn, following.follower.name
            if following.is_our_turn or not (is_shared or self._leads or not self._is_whole):
                continue
            if try_lock(connection, self._env, turn(name), shared=is_shared):
                log.info("at work", extra={"follower": name})
                following.begin()

    def _tell(self, notify: psycopg.Notify) -> None:
        news = News.of(notify)
        for following in self._followings:
            wants = news.is_command or not following.follower.follows_commands_only
            if news.channel in following.channels and wants and not following.is_joined:
                following.prompt()


def turn(name: str) -> str:
    """The work of the follower of this name, which one engine does at a time.

    Engines of earlier releases can't do it any more, and are not waited for.
    """
    return f"follow as {name} (schema {SCHEMA_VERSION})"


def tune_garbage_collection() -> None:
    """Make the collector look at objects once, when they are young, and never again.

    Books and live orders are millions of objects that stay; walking over all of them, as
    the collector does from time to time, stops the market: 0.4 s for a million resting
    orders. Later garbage is freed by its reference count; Matching, which may drop whole
    books, calls the collector.
    """
    gc.freeze()
    gc.set_threshold(50_000, 1_000_000)
