"""An application's log, with what this process knows of it already.

Followers in one process hand each other events that are decoded: those that a leader has
just recorded, and those that one follower has read before another. An event that is not in memory,
or was never handed over, costs a read and nothing else.

The contents and order of the log are read from PostgreSQL, except for a stretch that this process
has recorded alone: each commit sees under the lock of the log if another was in between.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast
from uuid import UUID

from eventsourcing.application import LocalNotificationLog
from eventsourcing.persistence import ApplicationRecorder, Mapper, Notification

from application.persistence.recorder import EventRecorder, Recorded

_KEPT: Final = 50_000  # events, some 50 MB: twice as many at most

Entry = tuple[int, Any]  # a notification id and its event


class SharedLog(LocalNotificationLog):
    """The log of one application, as its followers in this process read it."""

    def __init__(
        self, recorder: ApplicationRecorder, mapper: Mapper[UUID], section_size: int
    ) -> None:
        super().__init__(recorder, section_size)
        self._mapper = mapper
        self._mutex = threading.Lock()
        self._known: dict[int, Any] = {}
        self._created: dict[UUID, Any] = {}
        self._newest_created = 0
        self._stretch = _Stretch(0)

    def append(self, ids: Sequence[int], events: Sequence[Any]) -> None:
        """Keep the events that this process has just recorded."""
        entries = list(zip(ids, events, strict=True))
        self.remember(entries)
        if not isinstance(ids, Recorded):
            return
        with self._mutex:
            if ids.previous != self._stretch.end:
                self._stretch = _Stretch(ids.previous)
            self._stretch.extend(entries)

    def remember(self, entries: Iterable[Entry]) -> None:
        """Keep committed events for the followers in this process."""
        if not isinstance(self.recorder, EventRecorder):
            return  # a log in memory is as near as this
        with self._mutex:
            for notification_id, event in entries:
                self._known[notification_id] = event
                # A follower that reads far behind would bring first events of aggregates that by
                # now have later ones.
                if event.originator_version == 1 and notification_id > self._newest_created:
                    self._created[event.originator_id] = event
                    self._newest_created = notification_id
            _trim(self._known)
            _trim(self._created)

    def created(self, aggregate_id: UUID) -> Any | None:
        """The first event of an aggregate, if it is at hand."""
        return self._created.get(aggregate_id)

    def forget_created(self) -> None:
        """Has aggregates read again: some may have more events than the first by now."""
        with self._mutex:
            self._created.clear()

    def after(
        self, since: int | None, limit: int, topics: Sequence[str], *, at_hand: bool
    ) -> list[Entry]:
        """The next events after ``since``, each with its id.

        ``at_hand`` says that most of them have been remembered: then only the ids are read,
        or nothing at all.
        """
        if not at_hand or not self._known:
            return self._read(since, None, limit, topics)
        with self._mutex:
            recorded = self._stretch.after(since or 0, limit)
        if recorded and not topics:
            return recorded
        recorder = cast("EventRecorder", self.recorder)
        ids = recorder.select_notification_ids(since, limit, topics)
        known = {notification_id: self._known.get(notification_id) for notification_id in ids}
        missing = [notification_id for notification_id, event in known.items() if event is None]
        if len(missing) == len(ids):
            return self._read(since, None, limit, topics)
        if missing:
            known.update(self._decode(recorder.select_by_ids(missing)))
        return list(known.items())

    def _read(
        self, since: int | None, stop: int | None, limit: int, topics: Sequence[str]
    ) -> list[Entry]:
        notifications = self.select(
            since, limit, stop, topics=topics, inclusive_of_start=since is None
        )
        return self._decode(notifications)

    def _decode(self, notifications: Sequence[Notification]) -> list[Entry]:
        known, decode = self._known, self._mapper.to_domain_event
        entries = [(read.id, known.get(read.id) or decode(read)) for read in notifications]
        self.remember(entries)
        return entries


class _Stretch:
    """A part of the log without a gap: all that there is after ``start``, up to ``end``."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._ids: list[int] = []
        self._entries: list[Entry] = []

    @property
    def end(self) -> int:
        return self._ids[-1] if self._ids else self._start

    def extend(self, entries: Sequence[Entry]) -> None:
        self._ids.extend(notification_id for notification_id, _ in entries)
        self._entries.extend(entries)
        if len(self._ids) > 2 * _KEPT:
            self._start = self._ids[_KEPT - 1]
            del self._ids[:_KEPT], self._entries[:_KEPT]

    def after(self, since: int, limit: int) -> list[Entry]:
        """Nothing where it is not known what comes next."""
        if since < self._start:
            return []
        place = bisect_right(self._ids, since)
        return self._entries[place : place + limit]


def _trim(events: dict[Any, Any]) -> None:
    """Drop the older half, once it has become twice what is kept."""
    if len(events) > 2 * _KEPT:
        for key in list(events)[:_KEPT]:
            del events[key]
