"""The recorder of Orders and Matching: events and position in one transaction.

The library retries each of its calls ten times, which keeps a caller for 12 s while
the database is unavailable. The callers of this recorder do better: a request is
answered with 503, a follower reads its position again. So the retries are removed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import Notification, StoredEvent, Tracking
from eventsourcing.postgres import PostgresProcessRecorder
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from application.persistence.arrays import columns
from application.persistence.connection import AWAY, living_connection, long_read
from application.persistence.migrations import SCHEMA_VERSION, Part, make, of_library
from application.persistence.position import Advance, keep_positions, position_names
from application.persistence.retired import outdated_log, retired_log
from application.persistence.schemas import qualified
from application.persistence.statements import FUNCTIONS, STATEMENTS
from application.persistence.unit_of_work import Call, notify, transact
from domain.aggregate import build

_PAGE: Final = 5_000  # events
_MAX_VERSION: Final = 2**63 - 1
_MAX_ID: Final = UUID(int=2**128 - 1)


class EventRecorder(PostgresProcessRecorder):
    """Named to the library by PROCESS_RECORDER_TOPIC."""

    # By how much a stamp may be ahead of the database's clock; the application sets it.
    max_ahead_seconds = 1.0

    def __init__(self, datastore: Any, **names: Any) -> None:
        super().__init__(datastore, **names)
        # The library's, but of this schema alone.
        self.channel_name = qualified(datastore.schema, self.channel_name)
        self._statements = {
            name: self._in_schema(text).as_string() for name, text in STATEMENTS.items()
        }
        # The library's own way to record begins with this statement.
        self.lock_table_statements = [self._statements["lock"].encode()]
        keep_positions(self)
        self.sql_create_statements += [
            *map(self._in_schema, FUNCTIONS),
            *retired_log(self.datastore.schema, self.events_table_name),
            *outdated_log(self.datastore.schema, self.events_table_name),
        ]
        log = self.events_table_name.removesuffix("_events").capitalize()
        seconds = self.datastore.lock_timeout
        self.locks = f"the lock of the log of {log} took longer than {seconds} s"

    @property
    def other_tables(self) -> Sequence[str]:
        """The tables of a log of a kind of its own, beside that of its events."""
        return ()

    def part(self) -> Part:
        """Return the tables of this log and its follower, and what writes them."""
        return Part(
            self.datastore.schema,
            (self.events_table_name, self.tracking_table_name, *self.other_tables),
            {SCHEMA_VERSION: of_library(self.sql_create_statements)},
        )

    def create_table(self) -> None:
        with self.datastore.get_connection() as connection:
            make(connection, self.part())

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        tracking: Tracking | None = None,
        stamp: datetime | None = None,
        **_: Any,
    ) -> Sequence[int]:
        """Record events and, for a follower, its position; return their notification ids.

        ``stamp`` is the newest time of the commands; a follower's events have the time of their
        book instead.

        Overridden whole: the transaction is one statement; the position moves by
        compare-and-set; and a lost commit is told apart from a failed one. Without a position to
        move, this wakes the listeners; a follower does it itself, see ``wake_of_follower``.

        Raises IntegrityError (a version taken, a position moved), CommitUnknown, LockTimeout,
        SchemaOutdated, StampAhead, OperationalError (the database is unavailable).
        """
        if tracking is None:
            ids = self.record(self.call(stored_events, None, stamp=stamp))
            if ids:
                self.wake(ids[-1])
            return ids
        if not isinstance(tracking, Advance):
            raise TypeError("a position is moved from where it was seen: see Advance")
        return self.record(self.call(stored_events, tracking))

    def call(
        self,
        stored_events: Sequence[StoredEvent],
        move: Advance | None,
        *,
        stamp: datetime | None = None,
        expected: int | None = None,
    ) -> Call:
        """Return the call that records events and moves a position; its result: the events' ids.

        Where ``expected`` is not the id that the first event gets, it raises IdsMoved.
        """
        moves = move.arguments if move else (None, None, None)
        first = None if expected is None else str(expected)
        arguments = (*moves, stamp, self.max_ahead_seconds, first, *columns(stored_events))
        return Call(self._statements["record"], arguments)

    def passing(self, move: Advance) -> Call:
        """Return the call that moves a position over what led to no event."""
        return Call(self._statements["pass over"], move.arguments)

    def record(self, *calls: Call) -> Sequence[int]:
        """Make calls of this log's functions in a transaction; return the ids of its events."""
        ids, *_ = transact(self.datastore, calls, self.locks)
        return ids or []

    def wake(self, recorded: int) -> None:
        """Tell listeners how far the log goes: up to the notification id ``recorded``.

        That is after the commit, see ``notify``.
        """
        notify(self.datastore, [(self.channel_name, f"{recorded}:")])

    def wake_of_follower(self, move: Advance, recorded: int | None) -> None:
        """Tell listeners, too, how far this follower has come with ``move``.

        ``recorded`` is the last notification id that was recorded with it; None where there was
        nothing to record. Positions of partitions are read: the others' have to be told as well.
        """
        if recorded is not None and move.of_whole_log is not None:
            notify(self.datastore, [(self.channel_name, f"{recorded}:{move.of_whole_log}")])
            return
        parameters = {"channel": self.channel_name, "leader": move.application_name}
        with suppress(psycopg.Error, *AWAY), living_connection(self.datastore) as connection:
            connection.execute(self._statements["wake of follower"], parameters, prepare=True)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """Select as the library does, in PostgreSQL's binary format; see select_notifications."""
        rows = self._rows(
            "events backwards" if desc else "events",
            id=originator_id,
            gt=-1 if gt is None else gt,
            lte=_MAX_VERSION if lte is None else lte,
            limit=limit,
        )
        return [StoredEvent(*row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Select as the library does, in PostgreSQL's binary format: half the work to read."""
        since = -1 if start is None else start - inclusive_of_start
        if stop is not None:
            limit = max(min(limit, stop - since), 0)  # as many ids as there can be up to it
        name = "notifications of" if topics else "notifications"
        rows = self._rows(name, since=since, topics=list(topics), limit=limit)
        read = _notifications(rows)
        return read if stop is None else [each for each in read if each.id <= stop]

    def select_notification_ids(
        self, since: int | None, limit: int, topics: Sequence[str] = ()
    ) -> list[int]:
        """The ids of the notifications that follow ``since``, without what they say."""
        name = "ids of" if topics else "ids"
        rows = self._rows(name, since=since or 0, topics=list(topics), limit=limit)
        return [notification_id for (notification_id,) in rows]

    def long_read(self) -> AbstractContextManager[None]:
        """Return the context of a read by several calls that may take long."""
        return long_read(self.datastore)

    def max_notification_id(self) -> int | None:
        [(last,)] = self._rows("last")
        return cast("int | None", last)

    def max_tracking_id(self, application_name: str) -> int | None:
        [(position,)] = self._rows("position", leader=application_name)
        return cast("int | None", position)

    def select_trail(self, originator_ids: Sequence[UUID]) -> list[Notification]:
        """The events of several aggregates together, in the order of the log."""
        return _notifications(self._rows("trail", ids=list(originator_ids)))

    def select_by_ids(self, ids: Sequence[int]) -> list[Notification]:
        """The notifications with these ids, in their order."""
        return _notifications(self._rows("by ids", ids=list(ids)))

    def select_after(
        self, versions: Mapping[UUID, int], upto: int | None = None
    ) -> Iterator[tuple[UUID, int, str, bytes]]:
        """The events of several aggregates, of each those after a version, in its order.

        They are read some thousand at a time: there may be more than fit into memory. And as
        what StoredEvent is made of: to make one of each costs more than to read them.
        """
        last = _MAX_VERSION if upto is None else upto
        left = dict(versions)
        while left:
            ids = list(left)
            after = list(left.values())
            rows = self._rows("after", ids=ids, after=after, upto=last, limit=_PAGE)
            for place, version, topic, state in rows:
                yield ids[place - 1], version, topic, state
            if len(rows) < _PAGE:
                return
            place, version, *_ = rows[-1]
            left = dict(zip(ids[place - 1 :], [version, *after[place:]], strict=True))

    def select_heads(self) -> dict[UUID, int]:
        """Every aggregate, and its last version. One look into an index for each."""
        return dict(self._rows("heads"))

    def select_head_times(self, below: UUID | None, limit: int) -> list[tuple[UUID, datetime]]:
        """The time of the last event of each aggregate, the largest ids below ``below`` first."""
        return self._rows("head times", below=below or _MAX_ID, limit=limit)

    def taken(self, stored_events: Sequence[StoredEvent]) -> set[tuple[Any, int]]:
        """Return those places of the events, as (aggregate's id, version), that are taken."""
        ids = [event.originator_id for event in stored_events]
        versions = [event.originator_version for event in stored_events]
        return set(self._rows("taken", ids=ids, versions=versions))

    def _rows(self, name: str, **parameters: Any) -> list[Any]:
        with living_connection(self.datastore) as connection:
            cursor = connection.cursor(binary=True, row_factory=tuple_row)
            return cursor.execute(self._statements[name], parameters, prepare=True).fetchall()

    def next_id(self) -> int:
        """Return the notification id that the next event gets, unless another comes first."""
        [(following,)] = self._rows("next")
        return cast("int", following)

    def _in_schema(self, statement: str, **names: Identifier) -> Composed:
        schema, events = self.datastore.schema, self.events_table_name
        return SQL(statement).format(
            events=Identifier(schema, events),
            **position_names(schema, self.tracking_table_name),
            log=Literal(Identifier(schema, events).as_string()),
            lock=Identifier(schema, f"{events}_lock"),
            lock_trigger=Identifier(schema, f"{events}_lock_trigger"),
            record=Identifier(schema, f"{events}_record"),
            pass_over=Identifier(schema, f"{events}_pass_over"),
            lock_timeout=Literal(f"{self.datastore.lock_timeout}s"),
            **names,
        )


def _notifications(rows: list[Any]) -> list[Notification]:
    return [
        build(
            Notification,
            {
                "originator_id": originator_id,
                "originator_version": version,
                "topic": topic,
                "state": state,
                "id": notification_id,
            },
        )
        for originator_id, version, topic, state, notification_id in rows
    ]
