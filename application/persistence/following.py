"""Following in batches: as many notifications as wait, one transaction.

The library's followers record after every event. Here the policy is applied to each event of a
batch in turn, and all of the results are recorded at once with the new position.
With nothing waiting, a batch is one event.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

from eventsourcing.application import ProcessingEvent
from eventsourcing.domain import CollectEventsProtocol
from eventsourcing.persistence import (
    JSONTranscoder,
    Mapper,
    Notification,
    StoredEvent,
    Tracking,
)
from eventsourcing.system import Follower, ProcessApplication, RecordingEvent
from eventsourcing.utils import Environment, EnvType

from application.persistence.database_clock import max_ahead_seconds
from application.persistence.log import Entry
from application.persistence.mapper import JSONMapper
from application.persistence.partitions import (
    Reach,
    concerns,
    merge,
    part,
    partition_of,
    split,
)
from application.persistence.position import Advance, Move
from application.persistence.recorder import EventRecorder
from application.persistence.schemas import beside, schema_of
from application.persistence.unit_of_work import Call
from domain.order_book import OrderBook
from domain.requests import ContinuationRequest

_WAITING = 1_000
_LOOK_PAST = 20  # events that continue a decision, of which each may have 200 kB
_CONTINUING = frozenset({ContinuationRequest.Created.TOPIC, OrderBook.Continued.TOPIC})
LOOK_ANYWAY_SECONDS = 1.0  # a notification may be lost with its sender: look this often


class CannotFollow(Exception):
    """Something that a follower needs is away, or not as it must be: it is tried again.

    The text is the same for as long as the reason is, so that it is told once; the cause has
    the details. ``is_lasting``: it does not pass by itself.
    """

    is_lasting = False

    @classmethod
    def lasting(cls, reason: str) -> Self:
        error = cls(reason)
        error.is_lasting = True
        return error


class BatchFollower(Follower[UUID]):
    """A follower whose unit of work is a batch."""

    # The most events of one read, and the number unless a call says another; the
    # library's defaults are 10.
    log_section_size = 40_000
    pull_section_size = 500
    # A batch that took longer than this makes the next half as large.
    batch_seconds = 1.0
    # True: what a follower records in the leader's log is nothing to it.
    follows_commands_only = False
    # For how long it waits for more, once it is prompted.
    gather_seconds = 0.0

    def __init__(self, env: EnvType | None = None) -> None:
        super().__init__(env)
        self._positions: dict[str, int | None] = {}  # as this process has left them
        self._partitions: dict[str, int] = {}  # in how many parts it follows a leader
        self._at_most = self.log_section_size
        self.may_have_more = False  # whether the last batch was as large as it may be
        self.idle_seconds = LOOK_ANYWAY_SECONDS  # after which it looks again, unless prompted

    def construct_mapper(self) -> Mapper[UUID]:
        return self.factory.mapper(transcoder=JSONTranscoder(), mapper_class=JSONMapper)

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """The library's, with the schema of the market, or that of a view beside it."""
        own = super().construct_env(name, env)
        if "POSTGRES_SCHEMA" not in (env or {}):
            schema, part_of_it = schema_of(own), type(self).env.get("POSTGRES_SCHEMA")
            own["POSTGRES_SCHEMA"] = beside(schema, part_of_it) if part_of_it else schema
        return own

    def pull_and_process(
        self, leader_name: str, start: int | None = None, stop: int | None = None
    ) -> None:
        """Process all notifications that wait; the library's runners call this.

        ``start`` and ``stop`` are not needed: the position is read for every batch.
        """
        del start, stop
        while self.process_batch(leader_name):
            pass

    def process_batch(self, *leader_names: str, limit: int | None = None) -> int:
        """Process what waits in logs, up to ``limit`` notifications of each; return their number.

        What a follower is to have of a log before it can go on in another is in one that comes
        first. Raises IntegrityError where another follower was faster: what was decided is
        forgotten, and the next call starts from the position that is then true.
        """
        with self.processing_lock:
            limit = self.at_most(limit or self.pull_section_size)
            entries, moves = self._read(leader_names, limit)
            if not entries:
                return 0
            begun = time.monotonic()
            try:
                self.process_entries(entries, Advance.of(leader_names[0], moves))
            except BaseException:
                self.forget()
                raise
            for move in moves:
                self.moved_to(move.name, move.upto)
            self.took(time.monotonic() - begun, limit)
            return len(entries)

    def _read(self, leader_names: Sequence[str], limit: int) -> tuple[list[Entry], list[Move]]:
        """Return what is due in logs, and the moves to the ends of that."""
        entries: list[Entry] = []
        moves: list[Move] = []
        self.may_have_more = False
        for name in leader_names:
            if entries and self._has_to_unite(name):
                self.may_have_more = True
                break  # for which all of the logs before it has to be recorded
            since = self.position(name)
            waiting = self.entries_after(name, since, limit)
            due = self.due(name, waiting, moves)
            if due:
                entries += due
                moves.append(Move(name, since, due[-1][0]))
            self.may_have_more = self.may_have_more or len(waiting) == limit
        return entries, moves

    def position(self, leader_name: str) -> int | None:
        """Return the position in a leader's log, as this process knows it; None: nowhere yet."""
        if leader_name not in self._positions:
            self._unite(leader_name)
            self._positions[leader_name] = self.recorder.max_tracking_id(leader_name)
        return self._positions[leader_name]

    def position_in(self, leader_name: str, number: int) -> int:
        """Return the position in a partition, after ``take_parts``."""
        return self._positions[part(leader_name, number)] or 0

    def moved_to(self, leader_name: str, position: int) -> None:
        """Know that the position has moved."""
        self._positions[leader_name] = position

    def at_most(self, limit: int) -> int:
        """Return how large the next batch may be, if ``limit`` is what is asked for."""
        return min(limit, self._at_most)

    def took(self, seconds: float, limit: int) -> None:
        """Make the next batches smaller after one that took too long, else larger again."""
        is_long = seconds > self.batch_seconds
        self._at_most = max(limit // 2, 1) if is_long else max(2 * limit, self._at_most)

    def entries_after(self, leader_name: str, since: int | None, limit: int) -> list[Entry]:
        """Return the next events of the leader's log after a position, each with its id."""
        notifications = self.readers[leader_name].notification_log.select(
            since, limit, topics=self.topics_of(leader_name), inclusive_of_start=since is None
        )
        decode = self.mappers[leader_name].to_domain_event
        return [(notification.id, decode(notification)) for notification in notifications]

    def topics_of(self, leader_name: str) -> Sequence[str]:
        """Return the topics of the events that are followed in a leader's log; none: all."""
        del leader_name
        return self.topics

    def due(
        self, leader_name: str, entries: Sequence[Entry], moves: Sequence[Move]
    ) -> Sequence[Entry]:
        """Return those of the next entries whose time has come: all before the first that waits.

        ``moves`` are made with them, in the logs that come before.
        """
        del leader_name, moves
        return entries

    def due_in_partition(self, leader_name: str, number: int) -> Callable[[Any], bool]:
        """Return the test if the time of an event of a partition has come."""
        del leader_name, number
        return _always

    def process_parts(
        self, leader_name: str, taken: Mapping[int, tuple[Sequence[Entry], int]]
    ) -> None:
        """Process the entries of partitions, each up to a position: all or none.

        ``take_parts`` comes first. Raises IntegrityError as ``process_batch`` does.
        """
        with self.processing_lock:
            try:
                moves = [
                    Move(name, self._positions[name], upto)
                    for number, (_, upto) in taken.items()
                    for name in [part(leader_name, number)]
                ]
                count = self._partitions[leader_name]
                entries = [
                    self.of_partition(entry, number, count)
                    for number, (of_partition, _) in taken.items()
                    for entry in of_partition
                ]
                self.process_entries(entries, Advance.of(leader_name, moves))
                self._positions.update((move.name, move.upto) for move in moves)
            except BaseException:
                self.forget()
                raise

    def take_parts(self, leader_name: str, partitions: int) -> Sequence[int]:
        """Follow by partition from now on; return the position in each.

        Raises IntegrityError where others follow at the same time in another way.
        """
        with self.processing_lock:
            reach = Reach.read(self.recorder, leader_name)
            if len(reach.positions) != partitions:
                self._unite(leader_name)
            reach = split(self.recorder, leader_name, partitions)
            found = {part(leader_name, each): at for each, at in enumerate(reach.positions)}
            if any(self._positions.get(name, at) != at for name, at in found.items()):
                self.forget()  # others have been at work since
            self._partitions[leader_name] = partitions
            self._positions.update(found)
            return reach.positions

    def _has_to_unite(self, leader_name: str) -> bool:
        if leader_name in self._positions or not hasattr(self.recorder, "datastore"):
            return False  # it is known, or the recorder is in memory
        return Reach.read(self.recorder, leader_name).is_by_partition

    def _unite(self, leader_name: str) -> None:
        """Go back to one position from one in each partition: all catch up first."""
        if not self._has_to_unite(leader_name):
            return
        reach = Reach.read(self.recorder, leader_name)
        try:
            self._catch_up(leader_name, list(reach.positions))
            merge(self.recorder, leader_name)
        except BaseException:
            self.forget()
            raise

    def fence(self, move: Advance | None) -> Callable[[str], bool]:
        """Return the test for assets that nobody else decides for until ``move`` is recorded."""
        names = {each.name for each in move.moves} if move else ()

        def is_fenced(asset: str) -> bool:
            leader = move.application_name if move else ""
            count = self._partitions.get(leader)
            return leader in names or (
                count is not None and part(leader, partition_of(asset, count)) in names
            )

        return is_fenced

    def _catch_up(self, leader_name: str, positions: list[int]) -> None:
        self._partitions[leader_name] = len(positions)
        last = max(positions)
        while (since := min(positions)) < last:
            entries = self.entries_after(leader_name, since, self.pull_section_size)
            upto = min(entries[-1][0], last) if entries else last
            for number, position in enumerate(positions):
                mine = [
                    self.of_partition((place, event), number, len(positions))
                    for place, event in entries
                    if position < place <= upto and concerns(event.asset, number, len(positions))
                ]
                if position < upto:
                    move = Move(part(leader_name, number), position, upto)
                    self.process_entries(mine, Advance.of(leader_name, [move]))
                    positions[number] = upto

    def of_partition(self, entry: Entry, number: int, count: int) -> Entry:
        """An entry as it is to be processed for one partition of ``count``."""
        del number, count
        return entry

    def end_of_log(self, leader_name: str) -> int:
        """The last position in the leader's log."""
        recorder: Any = self.readers[leader_name].notification_log.recorder  # type: ignore[attr-defined]
        return recorder.max_notification_id() or 0

    def pending(self, leader_name: str, limit: int) -> Sequence[Notification]:
        """The notifications that wait, from the follower's own position on."""
        return self.readers[leader_name].notification_log.select(
            start=self.recorder.max_tracking_id(leader_name),
            limit=limit,
            topics=self.topics_of(leader_name),
            inclusive_of_start=False,
        )

    def lags(self, leader_name: str, now: datetime) -> list[timedelta]:
        """Return the waiting time of the oldest event that waits, in each partition.

        Without partitions, it is that of the whole log.
        """
        positions = Reach.read(self.recorder, leader_name).positions
        lags = [timedelta(0)] * len(positions)
        seen: set[int] = set()
        for place, event in self._oldest_pending(leader_name, len(positions)):
            for number, position in enumerate(positions):
                is_its = concerns(event.asset, number, len(positions))
                if is_its and number not in seen and place > position:
                    seen.add(number)
                    lags[number] = max(now - event.timestamp, timedelta(0))
        return lags

    def _oldest_pending(self, leader_name: str, partitions: int) -> Iterator[Entry]:
        """Yield the first events that wait and whose time is that of their recording.

        A continuation has the time of the decision that it continues, so that it is as old as the
        whole of a long cascade: it does not show that anything has waited for so long.
        """
        if partitions > 1:
            # From the partition on that is furthest behind: whose oldest is not among so many is
            # not.
            waiting = self.pending(leader_name, _WAITING)
        else:
            waiting = self.pending(leader_name, 1)
            if waiting and waiting[0].topic in _CONTINUING:
                waiting = self.pending(leader_name, _LOOK_PAST)
        for each in waiting:
            if each.topic not in _CONTINUING:
                event: Any = self.mappers[leader_name].to_domain_event(each)
                yield each.id, event

    def process_entries(self, entries: Sequence[Entry], move: Advance) -> None:
        """Process a batch in one transaction."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop all that this process has kept in memory: it may differ from the log."""
        self._positions.clear()

    def interrupt(self) -> None:
        """End a batch's wait for something outside; another thread calls this."""


def _always(_event: Any) -> bool:
    return True


class Recording(NamedTuple):
    """What a follower is going to record of a batch, with the move of its position."""

    events: Sequence[Any]
    stored_events: Sequence[StoredEvent]
    move: Advance
    beside: Sequence[Call] = ()  # for a log of a kind of its own, after the events


class BatchProcess(BatchFollower, ProcessApplication[UUID]):
    """A batch follower that records events of its own, and leads others."""

    recorder: EventRecorder

    def __init__(self, env: EnvType | None = None) -> None:
        super().__init__(env)
        self.recorder.max_ahead_seconds = max_ahead_seconds(self.env)
        # Waits until all that was prepared is recorded, or raises the reason why it is not. It is
        # called before the store is read, and before anything leaves memory.
        self.settle: Callable[[], None] = _settled

    def prepare(self, entries: Sequence[Entry], move: Advance) -> Recording:
        """Apply the policy to each event of a batch, in memory alone.

        The library's ``process_event`` does this for one event, and records. While the policy
        runs, the processing event's tracking is that of its event.
        """
        processing_event: ProcessingEvent[UUID] = ProcessingEvent()
        for position, domain_event in entries:
            processing_event.tracking = Tracking(move.application_name, position)
            self.policy(domain_event, processing_event)
        events = processing_event.events
        return Recording(events, [self.mapper.to_stored_event(event) for event in events], move)

    def process_entries(self, entries: Sequence[Entry], move: Advance) -> None:
        prepared = self.prepare(entries, move)
        recorder: Any = self.recorder
        if isinstance(recorder, EventRecorder):
            ids = recorder.record(*self.calls(prepared))
            self.wake(prepared, ids[-1] if ids else None)
        else:  # in memory
            recorder.insert_events(prepared.stored_events, tracking=move)
        self._prompt_followers()

    def calls(self, prepared: Recording, expected: int | None = None) -> Sequence[Call]:
        """Return the calls that record what was prepared; ``expected``: see EventRecorder.call."""
        if not prepared.events and not prepared.beside:
            return [self.recorder.passing(prepared.move)]
        events = self.recorder.call(prepared.stored_events, prepared.move, expected=expected)
        return [events, *prepared.beside]

    def wake(self, prepared: Recording, recorded: int | None) -> None:
        """Tell others that it is recorded, up to an id; None: there was nothing to record."""
        self.recorder.wake_of_follower(prepared.move, recorded)

    def load(self, ids: Sequence[UUID]) -> dict[UUID, Any]:
        """Those of the aggregates that exist, from all their events, read in one query."""
        aggregates: dict[UUID, Any] = {}
        if ids:
            for event in self.events_of(ids):
                aggregate = aggregates.get(event.originator_id)
                aggregates[event.originator_id] = event.mutate(aggregate)
        return aggregates

    def events_of(self, ids: Sequence[UUID]) -> list[Any]:
        """The events of several aggregates together, in the order of the log."""
        select_trail = getattr(self.recorder, "select_trail", None)
        if select_trail is None:  # a recorder in memory
            return [event for identifier in ids for event in self.events.get(identifier)]
        return [self.mapper.to_domain_event(stored) for stored in select_trail(ids)]

    def save_all(self, aggregates: Iterable[CollectEventsProtocol]) -> Sequence[int]:
        """Record the new events of several aggregates; return their notification ids.

        This is the library's ``save`` without its objects for each event, which cost as much as
        the recording itself.
        """
        events = [event for each in aggregates for event in each.collect_events()]
        stored = [self.mapper.to_stored_event(event) for event in events]
        ids = self.recorder.insert_events(stored, stamp=_newest_stamp(events))
        self._prompt_followers()
        return ids

    def _prompt_followers(self) -> None:
        """Prompt those that the library's runners have made follow in this process."""
        prompt: RecordingEvent[UUID] = RecordingEvent(self.name, [], None)
        for follower in self.followers:
            follower.receive_recording_event(prompt)


def _settled() -> None:
    """Nothing is being recorded."""


def _newest_stamp(events: Iterable[Any]) -> datetime | None:
    return max((event.timestamp for event in events), default=None)
