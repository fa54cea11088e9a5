"""One follower at work in a thread of its own: it catches up, then waits to be prompted."""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from eventsourcing.persistence import IntegrityError

from application.persistence.connection import AWAY
from application.persistence.error_words import in_words
from application.persistence.following import (
    LOOK_ANYWAY_SECONDS,
    BatchFollower,
    BatchProcess,
    CannotFollow,
)
from application.persistence.guards import LockTimeout
from application.persistence.migrations import SchemaOutdated
from application.persistence.position import PositionMoved
from application.persistence.standstills import WorkerState
from application.views.view import View

log = logging.getLogger(__name__)

_CONFLICT_SECONDS = 0.02


class Following(threading.Thread):
    """The loop of one follower from its turn on, until ``stopping`` is set or it fails for good."""

    shares_its_turn = False  # whether others may be at the same work, each with its part

    def __init__(
        self,
        follower: BatchFollower,
        leaders: Sequence[str],
        batch_size: int,
        stopping: threading.Event,
    ) -> None:
        """``leaders``: in the order in which their logs are read."""
        super().__init__(name=follower.name)
        self.follower = follower
        self.leaders = leaders
        self.failure: BaseException | None = None
        self.is_our_turn = False
        self.is_joined = False  # the fused engine does its work: see interface.fusing
        self._has_caught_up = False
        # Notifications, at most. A follower that records no events takes more: the more events of
        # an order a view finds together, the less often it writes the order's row.
        self._batch_size = batch_size * (1 if isinstance(follower, BatchProcess) else 4)
        self._stopping = stopping
        self._prompted = threading.Event()
        self._begins = threading.Event()
        self._told = ""  # why it can't follow, once it has been told
        self.state: WorkerState | None = None  # where others can see it, if they can

    @property
    def channels(self) -> set[str]:
        """Return the channels on which PostgreSQL notifies of new events."""
        logs: list[Any] = [
            self.follower.readers[leader].notification_log for leader in self.leaders
        ]
        return {log.recorder.channel_name for log in logs}

    def begin(self) -> None:
        """It is its turn, perhaps after a while: what it knew then may not be so any more.

        Others may have been at work, or PostgreSQL may have lost what a view had not flushed.
        """
        self._begins.set()
        if self.state is not None:
            self.state.begins()
        self.is_our_turn = True
        self.prompt()

    @property
    def may_join(self) -> bool:
        """Test if it has caught up by itself, and could have its work done from now on."""
        return self.is_our_turn and self._has_caught_up and not self.is_joined

    def go_alone(self) -> None:
        """Do its own work from now on, from what is stored."""
        self._has_caught_up = False
        self.is_joined = False
        self._begins.set()
        self.prompt()

    def forget(self) -> None:
        """Drop what it knew: others may have done the work meanwhile."""
        self.follower.forget()

    def prompt(self) -> None:
        """Make it look at once."""
        self._prompted.set()

    def interrupt(self) -> None:
        """Make it end soon, once ``stopping`` is set."""
        self.follower.interrupt()
        self.prompt()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._prompted.wait(self.follower.idle_seconds)
                self._stopping.wait(self.follower.gather_seconds)
                self._prompted.clear()
                if self._begins.is_set():
                    self._begins.clear()
                    self.forget()
                if self.is_our_turn and not self.is_joined:
                    self._catch_up()
        except SchemaOutdated as error:
            # No fault of a follower: the process says it in one sentence, and ends.
            self._end(error)
        except BaseException as error:
            log.exception("follower failed", extra={"follower": self.follower.name})
            if self.state is not None:
                self.state.fails(f"it failed: {in_words(error)}", is_lasting=True)
            self._end(error)

    def _end(self, failure: BaseException) -> None:
        self.failure = failure
        self._stopping.set()

    def _catch_up(self) -> None:
        try:
            self.work()
        except IntegrityError as error:
            # Another follower was faster. The store has the true position; the pause keeps
            # two that compete from doing nothing else.
            self._warn("conflict, deciding again", error)
            self._stopping.wait(_CONFLICT_SECONDS)
            self.prompt()
        except LockTimeout as error:
            self._warn(str(error), error.__cause__ or error)
            self.prompt()
        except AWAY as error:
            self._warn("Database unavailable, retrying in 1 s", error)
            self._stopping.wait(LOOK_ANYWAY_SECONDS)
            self.prompt()
        except CannotFollow as error:
            # It may be so for hours: told once.
            if str(error) != self._told and not self._stopping.is_set():
                self._told = str(error)
                self._warn(self._told, error.__cause__ or error)
            self._show(error)
            self._stopping.wait(LOOK_ANYWAY_SECONDS)
            self.prompt()

    def _show(self, error: CannotFollow) -> None:
        if self.state is not None and not self._stopping.is_set():
            position = None
            with suppress(*AWAY):
                position = self.follower.recorder.max_tracking_id(self.leaders[0])
            self.state.fails(str(error), position=position, is_lasting=error.is_lasting)

    def work(self) -> None:
        """Process the events that wait, batch by batch."""
        while self.is_our_turn and not self._stopping.is_set():
            count = process(self.follower, self.leaders, self._batch_size)
            self.works_again()
            # Later events prompt it: it need not look again.
            if not self.follower.may_have_more:
                self._has_caught_up = count > 0 or not is_parked(self.follower)
                return

    def works_again(self) -> None:
        """Record that it can follow, where it has recorded that it can't."""
        if self._told:
            log.info("following again", extra={"follower": self.follower.name})
            self._told = ""
        if self.state is not None:
            self.state.works()

    def _warn(self, event: str, error: BaseException) -> None:
        log.warning(event, extra={"follower": self.follower.name, "error": str(error).strip()})


def is_parked(follower: BatchFollower) -> bool:
    return isinstance(follower, View) and follower.recorder.parked() is not None


def process(follower: BatchFollower, leaders: Sequence[str], limit: int) -> int:
    """Process a batch; return its number of events, none where a view can't go on."""
    try:
        return follower.process_batch(*leaders, limit=limit)
    except (*AWAY, PositionMoved, SchemaOutdated):
        raise
    except Exception:
        if not isinstance(follower, View):
            raise
        counts = [_process_up_to_the_fault(follower, leader, limit) for leader in leaders]
        return sum(counts) if all(counts) else 0


def _process_up_to_the_fault(view: View, leader: str, limit: int) -> int:
    """Process a batch event by event, and park the view before one that it can't apply.

    A view never skips an event: it stops before it, reports it, and tries again.
    """
    done = 0
    try:
        while done < limit and view.process_batch(leader, limit=1):
            done += 1
    except (*AWAY, PositionMoved, SchemaOutdated):
        raise
    except Exception as error:
        fault = next(iter(view.pending(leader, limit=1)), None)
        if fault is None:  # the view was rebuilt meanwhile
            return limit
        reason = f"{leader} {fault.id}, {fault.topic}: {in_words(error)}"
        if view.recorder.park(reason):  # it is tried again and again, and told once
            log.exception("view parked", extra={"view": view.name, "position": fault.id})
        view.may_have_more = False
        return 0
    return done
