"""The engine: one thread for each follower, which catches up, and then waits to be woken.

The library's runners don't catch up at start, and its subscriptions pull before they
listen; so this is a loop of our own over the library's followers.
"""

import logging
import threading
from collections.abc import Mapping

import psycopg
from eventsourcing.persistence import IntegrityError

from application.persistence import connection
from application.persistence.following import BatchFollower
from application.persistence.position import PositionMoved
from application.views.view import View
from interface.listening import LOOK_ANYWAY_SECONDS, listen
from system import build, followings

log = logging.getLogger(__name__)

_CONFLICT_SECONDS = 0.02

AWAY = (*connection.AWAY, psycopg.Error)  # the latter on connections of our own


class Engine:
    """Runs the followers until it is stopped, or one of them fails for good."""

    def __init__(self, env: Mapping[str, str], batch_size: int = 500) -> None:
        self._batch_size = batch_size  # notifications, at most
        self._market = build(env)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(env, *pair), name=pair[0].name)
            for pair in followings(self._market)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Asks the followers to finish the batch that they are at."""
        self._stopping.set()

    def join(self) -> None:
        """Waits for the end. Raises what made a follower fail."""
        for thread in self._threads:
            thread.join()
        self._market.close()
        if self._failure is not None:
            raise self._failure

    def _run(self, env: Mapping[str, str], follower: BatchFollower, leader: str) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._follow(env, follower, leader)
                except AWAY as error:
                    log.warning(
                        "PostgreSQL is away",
                        extra={"follower": follower.name, "error": str(error).strip()},
                    )
                    self._stopping.wait(LOOK_ANYWAY_SECONDS)
        except BaseException as error:
            log.exception("follower failed", extra={"follower": follower.name})
            self._failure = error
            self.stop()

    def _follow(self, env: Mapping[str, str], follower: BatchFollower, leader: str) -> None:
        channel = follower.readers[leader].notification_log.recorder.channel_name  # type: ignore[attr-defined]
        with listen(env, [channel]) as listening:
            while not self._stopping.is_set():
                self._catch_up(follower, leader)
                for _ in listening.notifies(timeout=LOOK_ANYWAY_SECONDS, stop_after=1):
                    pass

    def _catch_up(self, follower: BatchFollower, leader: str) -> None:
        while not self._stopping.is_set():
            try:
                if not process(follower, leader, self._batch_size):
                    return
            except IntegrityError as error:
                # Another follower was faster. What is true now is in the store; the pause
                # keeps two that fight from doing nothing else.
                log.warning(
                    "conflict, deciding again",
                    extra={"follower": follower.name, "error": str(error).strip()},
                )
                self._stopping.wait(_CONFLICT_SECONDS)


def process(follower: BatchFollower, leader: str, limit: int) -> bool:
    """Processes a batch; False where nothing waits, or where a view has to stand still."""
    try:
        return bool(follower.process_batch(leader, limit))
    except (*AWAY, PositionMoved):
        raise
    except Exception:
        if not isinstance(follower, View):
            raise
        return _process_up_to_the_fault(follower, leader)


def _process_up_to_the_fault(view: View, leader: str) -> bool:
    """Goes on event by event, and parks the view before the one that it can't apply.

    A view never skips an event: it stands before it, says so, and tries again.
    """
    try:
        while view.process_batch(leader, limit=1):
            pass
    except (*AWAY, PositionMoved):
        raise
    except Exception as error:
        fault = next(iter(view.pending(leader, limit=1)), None)
        if fault is None:  # the view was rebuilt meanwhile
            return True
        reason = f"{leader} {fault.id}, {fault.topic}: {type(error).__name__}: {error}"
        if view.recorder.parked() != reason:  # it is tried again and again, and told once
            log.exception("view parked", extra={"view": view.name, "position": fault.id})
            view.recorder.park(reason)
    return False
