"""Group commit: callers that come while a commit is under way share the next one.

A caller that finds no commit under way makes one, for itself and all that wait; afterwards the
first of those that came meanwhile makes the next. A single caller commits at once, in its own
thread. A conflict fails only the caller that has it: the others of the commit succeed.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from eventsourcing.persistence import IntegrityError, StoredEvent

Events = Sequence[StoredEvent]

# The bound of one commit: other writers of the same log wait 0.1 s at most.
MAX_EVENTS: Final = 5_000
Places = set[tuple[Any, int]]  # (aggregate's id, version), of which each is there once


class _Entry:
    """The events of one caller, and their ids or the error."""

    __slots__ = ("error", "events", "ids", "is_done", "places", "stamp", "wake")

    def __init__(self, events: Events, stamp: datetime | None) -> None:
        self.events = events
        self.stamp = stamp
        self.places: Places = {(e.originator_id, e.originator_version) for e in events}
        self.ids: Sequence[int] = ()
        self.error: BaseException | None = None
        self.is_done = False
        self.wake = threading.Lock()  # held until there is a result, or the turn to commit
        self.wake.acquire()


class GroupCommit:
    """A recorder that joins the calls of many threads.

    ``record`` stores events in one transaction, with the newest of their stamps, and gives their
    notification ids, or raises IntegrityError where a place is taken; ``taken`` tells which of
    the events' places are.
    """

    def __init__(
        self,
        record: Callable[[Events, datetime | None], Sequence[int]],
        taken: Callable[[Events], Places],
    ) -> None:
        self._record = record
        self._taken = taken
        self._mutex = threading.Lock()
        self._waiting: list[_Entry] = []
        self._is_committing = False

    def record(self, events: Events, stamp: datetime | None = None) -> Sequence[int]:
        """Store a caller's events, all or none; raise the error that made that impossible."""
        entry = _Entry(events, stamp)
        with self._mutex:
            self._waiting.append(entry)
            waits = self._is_committing
            self._is_committing = True
        if waits:
            entry.wake.acquire()
        if not entry.is_done:
            self._commit_those_who_wait()
        if entry.error is not None:
            raise entry.error
        return entry.ids

    def _commit_those_who_wait(self) -> None:
        with self._mutex:
            group = _first(self._waiting)
            self._waiting = self._waiting[len(group) :]
        try:
            self._commit(group)
        except BaseException as error:
            for entry in group:
                entry.error = entry.error or error
            raise
        finally:
            with self._mutex:
                successor = self._waiting[0] if self._waiting else None
                self._is_committing = successor is not None
            if successor is not None:
                successor.wake.release()
            for entry in group:
                entry.is_done = True
                entry.wake.release()

    def _commit(self, group: list[_Entry]) -> None:
        """Give every entry its ids, or its own conflict. Raises any other error."""
        taken: Places = set()
        conflict = IntegrityError("taken by another command of the same commit")
        while True:
            # The whole group is judged each time: an entry that conflicted only with a refused
            # one can be accepted now.
            accepted, refused = _without(group, taken)
            if not accepted:
                break
            events = [event for entry in accepted for event in entry.events]
            stamps = [entry.stamp for entry in accepted if entry.stamp is not None]
            try:
                ids = self._record(events, max(stamps, default=None))
            except IntegrityError as error:
                conflict = error
                found = self._taken(events)
                if not found:
                    raise
                taken |= found
            else:
                _give(accepted, ids)
                break
        for entry in refused:
            entry.error = conflict


def _first(waiting: list[_Entry]) -> list[_Entry]:
    """Those who come first, with so many events together as one commit may have, or one."""
    events = 0
    for count, entry in enumerate(waiting):
        events += len(entry.events)
        if events > MAX_EVENTS and count:
            return waiting[:count]
    return waiting


def _without(entries: list[_Entry], taken: Places) -> tuple[list[_Entry], list[_Entry]]:
    """Split entries into those that can be recorded together, and those whose places are taken."""
    taken = set(taken)
    accepted, refused = [], []
    for entry in entries:
        if taken.isdisjoint(entry.places):
            taken |= entry.places
            accepted.append(entry)
        else:
            refused.append(entry)
    return accepted, refused


def _give(entries: list[_Entry], ids: Sequence[int]) -> None:
    start = 0
    for entry in entries:
        end = start + len(entry.events)
        entry.ids = ids[start:end]
        start = end
