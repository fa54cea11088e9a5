"""Matching follows Orders and drives the books: the one place where fates are decided."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby, starmap
from operator import attrgetter
from typing import Any, Final, cast
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, ProcessingEvent
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import EnvType

from application.deciding import (
    COMMANDS,
    NOT_OPENING,
    Command,
    Scoped,
    decide,
    is_for_all,
    is_for_books,
    is_for_venue,
    tell,
    users_of,
)
from application.persistence.book_snapshots import BookSnapshots, SnapshotRecorder
from application.persistence.connection import AWAY
from application.persistence.following import BatchProcess, Recording
from application.persistence.log import Entry
from application.persistence.mapper import JSONMapper
from application.persistence.position import Advance
from application.persistence.user_assets import MatchingRecorder
from application.user_assets import UserAssets
from domain.errors import RejectReason
from domain.order_book import OrderBook
from domain.values import book_id, venue_id
from domain.venue import Venue

log = logging.getLogger(__name__)

MAX_LIVE_BOOKS: Final = 10_000
_BOOKS_AT_A_TIME: Final = 500  # that are read only to see whether a command concerns them


_OPENING: Final = tuple(kind for kind in COMMANDS if kind not in NOT_OPENING)


class Poison(Exception):
    """The command at ``position`` made the book of ``asset`` raise."""

    def __init__(self, position: int, asset: str) -> None:
        super().__init__(f"{asset}, command {position}")
        self.position = position
        self.asset = asset


class Matching(BatchProcess):
    """The application that decides every order and request, in the order of the log."""

    name = "Matching"
    topics = tuple(command.TOPIC for command in COMMANDS)
    follows_commands_only = True
    is_snapshotting_enabled = True  # another process takes them: see SnapshotTaker
    snapshots: BookSnapshots
    mapper: JSONMapper

    def __init__(self, env: EnvType | None = None) -> None:
        super().__init__(env)
        # By asset, the least recently used first. They stay alive between batches: loading
        # one means replaying it.
        self._live: OrderedDict[str, OrderBook] = OrderedDict()
        # Assets, and positions in the batch, of commands that are not to be tried again.
        self._refused: set[tuple[int, str]] = set()
        self._venue: Venue | None = None  # None: nothing was asked of it, or it is not read yet
        self._venue_is_read = False
        self._venue_is_changed = False  # in this batch
        self._changed: dict[str, OrderBook] = {}  # in this batch, by asset
        self._user_assets = UserAssets(self.recorder, self.notification_log, self.mapper)

    def construct_snapshot_store(self) -> BookSnapshots:
        recorder: Any
        if isinstance(self.factory, PostgresFactory):
            recorder = SnapshotRecorder(
                self.factory.datastore, events_table_name=f"{self.name.lower()}_snapshots"
            )
            if self.factory.env_create_table():
                recorder.create_table()
        else:
            recorder = self.factory.aggregate_recorder(purpose="snapshots")
        return BookSnapshots(self.mapper, recorder)

    def prepare(self, entries: Sequence[Entry], move: Advance) -> Recording:
        """Decide a batch; a command that makes the book raise is refused, and the market goes on.

        Such a command may have left the live books in any state, so they are dropped, and the
        batch is decided again; this time the book refuses the command.
        """
        self._make_room()
        self._refused.clear()
        while True:
            self._venue_is_changed = False
            self._changed.clear()
            self._revive([_command(event) for _, event in entries])
            try:
                prepared = super().prepare(entries, move)
                break
            except Poison as poison:
                log.exception(
                    "command refused: the book raised",
                    extra={"asset": poison.asset, "position": poison.position},
                )
                self.settle()
                self._drop_books()  # but not the position: the batch is the same
                self._refused.add((poison.position, poison.asset))
        changes = self._user_assets.changes(prepared.events, self._changed, self.fence(move))
        if changes and isinstance(self.recorder, MatchingRecorder):
            return prepared._replace(beside=[self.recorder.change(changes)])
        return prepared

    def _make_room(self) -> None:
        """Drop the books that were used least recently, if there are too many."""
        if len(self._live) > MAX_LIVE_BOOKS:
            self.settle()
            while len(self._live) > MAX_LIVE_BOOKS - MAX_LIVE_BOOKS // 10:
                self._live.popitem(last=False)
            gc.collect()  # the orders of a book refer to each other

    def policy(
        self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]
    ) -> None:
        """Let the asset's book decide the command, or all books. Raises Poison."""
        command = _command(domain_event)  # by self.topics
        position = cast("Tracking", processing_event.tracking).notification_id
        if not is_for_all(command):
            book = self._live.get(command.asset)
            if book is not None:  # or nobody has traded it
                self._decide(book, position, command, processing_event)
            return
        if is_for_venue(command):
            self._tell_venue(position, domain_event)
            processing_event.events.extend(cast("Venue", self._venue).collect_events())
        if is_for_books(command):
            for book in self._all_books(domain_event):
                self._decide(book, position, command, processing_event)
                self._keep_if_changed(book, position)
                for user in users_of(command):
                    self._user_assets.note(user, book)

    def _tell_venue(self, position: int, asked: object) -> None:
        """Record a change at the venue, unless it is recorded by the follower of another partition.

        The venue is read first: on a conflict this follower would leave its partitions.
        """
        command = _command(asked)
        if isinstance(asked, Scoped) and not self._venue_is_changed:
            self.settle()
            self._venue = self.venue()
        if self._venue is None:
            self._venue = Venue.open(command.timestamp)
        tell(self._venue, position, command)
        self._venue_is_changed = True

    def of_partition(self, entry: Entry, number: int, count: int) -> Entry:
        """Scope a command for all assets, which each partition decides at its own time."""
        position, command = entry
        return (position, Scoped(command, number, count)) if is_for_all(command) else entry

    def forget(self) -> None:
        super().forget()
        self._user_assets.forget()
        self._drop_books()

    def _drop_books(self) -> None:
        self._live.clear()
        self._venue, self._venue_is_read = None, False
        gc.collect()

    def _decide(
        self,
        book: OrderBook,
        position: int,
        command: Command,
        processing_event: ProcessingEvent[UUID],
    ) -> None:
        if (position, book.asset) in self._refused:
            book.refuse(position, command, RejectReason.INTERNAL_ERROR)
        else:
            try:
                decide(book, position, command, self._venue)
            except Exception as error:
                raise Poison(position, book.asset) from error
        events = book.collect_events()
        if events:
            processing_event.events.extend(events)
            self._changed[book.asset] = book

    def _all_books(self, command: object) -> Iterator[OrderBook]:
        """The books that a command for all assets is decided for, which are all or a part.

        Those that are not alive are read some at a time, and forgotten unless they change.
        """
        self.settle()
        found: set[str] | None = None
        for user in users_of(_command(command)):
            found = self._user_assets.of(user, self._changed)
        if found is None:
            found = self.assets_with_books() | self._live.keys()
        assets = sorted(found)
        if isinstance(command, Scoped):
            assets = [asset for asset in assets if command.covers(asset)]
        for section in range(0, len(assets), _BOOKS_AT_A_TIME):
            part = assets[section : section + _BOOKS_AT_A_TIME]
            missing = [book_id(asset) for asset in part if asset not in self._live]
            read = {book.asset: _watched(book) for book in self.load(missing).values()}
            for asset in part:
                book = self._live.get(asset) or read.get(asset)
                if book is not None:
                    yield book
        if len(assets) > MAX_LIVE_BOOKS:
            gc.collect()  # of what was read, the orders refer to each other

    def _keep_if_changed(self, book: OrderBook, position: int) -> None:
        """Keep a changed book until the batch is committed, then evict it first."""
        if book.position == position and book.asset not in self._live:
            self._live[book.asset] = book
            self._live.move_to_end(book.asset, last=False)

    def assets_with_books(self) -> set[str]:
        """Those whose books are recorded."""
        return self._user_assets.all()

    def book_at(self, asset: str, version: int) -> OrderBook:
        """The book as it was after ``version`` commands.

        Raises AggregateNotFoundError where it has not had as many.
        """
        long_read = getattr(self.recorder, "long_read", nullcontext)
        with long_read():  # it may be far from the next snapshot
            book = self.load([book_id(asset)], upto=version).get(book_id(asset))
        if book is None or book.version != version:
            raise AggregateNotFoundError(f"The book of {asset} has not had {version} commands")
        return book

    def load(self, ids: Sequence[UUID], upto: int | None = None) -> dict[UUID, OrderBook]:
        """Those of the books that exist, each from its newest snapshot and what came after.

        ``upto``: as they were at this version. In two queries, however many they are.
        """
        if not ids:
            return {}
        try:
            books = self.snapshots.restore(ids, upto)
            self.catch_up(ids, books, upto)
        except AWAY:
            raise
        except Exception:
            log.exception("snapshots and events don't fit, all is replayed from the events")
            books = {}
            self.catch_up(ids, books, upto)
        return books

    def catch_up(
        self, ids: Sequence[UUID], books: dict[UUID, OrderBook], upto: int | None = None
    ) -> None:
        """Apply the events recorded since to the books, and make the books that are missing."""
        versions = {book: books[book].version if book in books else -1 for book in ids}
        events = self._events_after(versions, upto)  # of one book after the other
        for identifier, of_book in groupby(events, attrgetter("originator_id")):
            book: Any = books.get(identifier)
            for event in of_book:
                book = event.mutate(book)
            books[identifier] = book

    def _events_after(self, versions: Mapping[UUID, int], upto: int | None) -> Iterator[Any]:
        select_after = getattr(self.recorder, "select_after", None)
        if select_after is not None:
            yield from starmap(self.mapper.read, select_after(versions, upto))
            return
        for book, version in versions.items():  # a recorder in memory
            yield from self.events.get(book, gt=version, lte=upto)

    def _revive(self, commands: Iterable[Command]) -> None:
        """Load the books that commands are for, unless they are live, in one read."""
        missing: dict[UUID, Command] = {}
        if not self._venue_is_read:
            self.settle()
            self._venue, self._venue_is_read = self.venue(), True
        users: set[str] = set()
        for command in commands:
            if is_for_all(command):
                users.update(users_of(command))
                continue
            if command.asset in self._live:
                self._live.move_to_end(command.asset)
            elif not isinstance(missing.setdefault(book_id(command.asset), command), _OPENING):
                missing[book_id(command.asset)] = command
        if users or missing or not self._user_assets.is_complete:
            self.settle()
        self._user_assets.begin(users)
        books = self.load(list(missing))
        for identifier, command in missing.items():
            if identifier in books:
                self._live[command.asset] = _watched(books[identifier])
            elif isinstance(command, _OPENING):
                opened = OrderBook.open(command.asset, command.timestamp)
                self._live[command.asset] = _watched(opened)

    def venue(self) -> Venue | None:
        """The venue as it is recorded; None: nothing was ever asked of it."""
        return BatchProcess.load(self, [venue_id()]).get(venue_id())


def _watched(book: OrderBook) -> OrderBook:
    """A book that notes from now on which users come to have orders there, or cease to."""
    book.floor.take_turnover()
    return book


def _command(event: object) -> Command:
    return event.command if isinstance(event, Scoped) else cast("Command", event)
