"""Group commit: callers that come while a commit is under way share the next one.

It belongs to an event loop, on which nothing else may take long. A conflict fails only the caller
that has it: the others of the commit succeed. A caller that is cancelled gives up its answer, and
never the commit.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from eventsourcing.persistence import IntegrityError, StoredEvent

Events = Sequence[StoredEvent]
Places = set[tuple[Any, int]]  # (aggregate's id, version), of which each is there once

# The bound of one commit: other writers of the same log wait 0.1 s at most.
MAX_EVENTS: Final = 5_000


class Log(Protocol):
    """A log that stores events in one transaction."""

    async def record(self, events: Events, stamp: datetime | None) -> Sequence[int]:
        """Return notification ids. Raise IntegrityError where a place is taken."""
        ...

    async def taken(self, events: Events) -> Places:
        """Return those of the events' places that are taken."""
        ...

    async def wake(self, recorded: int) -> None:
        """Tell listeners, after a commit, that the log goes up to ``recorded``."""
        ...


class _Entry:
    """The events of one caller, and their ids or the error."""

    __slots__ = ("events", "ids", "places", "stamp")

    def __init__(self, events: Events, stamp: datetime | None) -> None:
        self.events = events
        self.stamp = stamp
        self.places: Places = {(e.originator_id, e.originator_version) for e in events}
        self.ids: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        if not self.ids.done():
            self.ids.set_exception(error)
            self.ids.exception()  # its caller may have gone

    def succeed(self, ids: Sequence[int]) -> None:
        if not self.ids.done():
            self.ids.set_result(ids)


class GroupCommit:
    """The recording of what many callers want to have recorded in one log.

    A commit has the newest stamp of those that share it.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: list[_Entry] = []
        self._group: list[_Entry] = []  # of the commit that is under way
        self._committing: asyncio.Task[None] | None = None

    @property
    def callers(self) -> int:
        """The number of those whose events wait, or are being committed."""
        return len(self._waiting) + len(self._group)

    async def record(self, events: Events, stamp: datetime | None = None) -> Sequence[int]:
        """Store a caller's events, all or none; raise the error that made that impossible."""
        entry = _Entry(events, stamp)
        if len(entry.places) < len(events):
            raise IntegrityError("two events for the same place")
        self._waiting.append(entry)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await entry.ids

    async def finish(self) -> None:
        """Wait until all is committed, or has failed."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                self._group = _first(self._waiting)
                self._waiting = self._waiting[len(self._group) :]
                try:
                    last = await self._commit(self._group)
                except BaseException as error:
                    for entry in self._group:
                        entry.fail(error)
                    if not isinstance(error, Exception):
                        raise
                    last = None
                self._group = []
                if last is not None:
                    await self._log.wake(last)
        finally:
            self._committing = None

    async def _commit(self, group: list[_Entry]) -> int | None:
        """Give every entry its ids, or its own conflict. Raises any other error."""
        taken: Places = set()
        conflict = IntegrityError("taken by another command of the same commit")
        ids: Sequence[int] = []
        while True:
            # The whole group is judged each time: an entry that conflicted only with a refused
            # one can be accepted now.
            accepted, refused = _without(group, taken)
            if not accepted:
                break
            events = [event for entry in accepted for event in entry.events]
            stamps = [entry.stamp for entry in accepted if entry.stamp is not None]
            try:
                ids = await self._log.record(events, max(stamps, default=None))
            except IntegrityError as error:
                conflict = error
                found = await self._log.taken(events)
                if not found:
                    raise
                taken |= found
            else:
                _give(accepted, ids)
                break
        for entry in refused:
            entry.fail(conflict)
        return ids[-1] if ids else None


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
        entry.succeed(ids[start:end])
        start = end
