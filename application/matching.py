"""Matching follows Orders and drives the books: the one place where fates are decided."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any, Final, cast
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, ProcessingEvent
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import EnvType

from application.persistence.book_snapshots import BookSnapshots, SnapshotRecorder
from application.persistence.connection import AWAY
from application.persistence.following import BatchProcess
from application.persistence.log import Entry
from application.persistence.mapper import JSONMapper
from application.persistence.position import Advance
from domain.errors import RejectReason
from domain.order import Order
from domain.order_book import OrderBook
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import book_id

log = logging.getLogger(__name__)

MAX_LIVE_BOOKS: Final = 10_000

Command = Order.Created | CancelRequest.Created | ReplaceRequest.Created
COMMANDS: Final = (Order.Created, CancelRequest.Created, ReplaceRequest.Created)


class Poison(Exception):
    """The command at ``position`` made the book of ``asset`` raise."""

    def __init__(self, position: int, asset: str) -> None:
        super().__init__(f"{asset}, command {position}")
        self.position = position
        self.asset = asset


class Matching(BatchProcess):
    """Decides every order and request, in the order of the log."""

    name = "Matching"
    topics = tuple(command.TOPIC for command in COMMANDS)
    is_handed_events = False  # commands come from other processes
    is_snapshotting_enabled = True  # another process takes them: see SnapshotTaker
    snapshots: BookSnapshots
    mapper: JSONMapper

    def __init__(self, env: EnvType | None = None) -> None:
        super().__init__(env)
        # By asset, the least recently used first. They stay alive between batches: loading
        # one means replaying it.
        self._live: OrderedDict[str, OrderBook] = OrderedDict()
        self._refused: set[int] = set()  # positions in the batch of commands not to be tried again

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

    def process_entries(self, entries: Sequence[Entry], move: Advance) -> None:
        """Decides a batch; a command that makes the book raise is refused, and the market goes on.

        Nobody knows what such a command has done to the live books, so they are dropped, and
        the batch is decided again; this time the book is told to refuse it.
        """
        self._refused.clear()
        while True:
            self._revive(cast("Command", event) for _, event in entries)
            try:
                super().process_entries(entries, move)
                break
            except Poison as poison:
                log.exception(
                    "command refused: the book raised",
                    extra={"asset": poison.asset, "position": poison.position},
                )
                self.forget()
                self._refused.add(poison.position)
        if len(self._live) > MAX_LIVE_BOOKS:
            while len(self._live) > MAX_LIVE_BOOKS - MAX_LIVE_BOOKS // 10:
                self._live.popitem(last=False)
            gc.collect()  # the orders of a book refer to each other

    def policy(
        self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]
    ) -> None:
        """Has the asset's book decide the command. Raises Poison."""
        command = cast("Command", domain_event)  # by self.topics
        position = cast("Tracking", processing_event.tracking).notification_id
        book = self._live[command.asset]
        if position in self._refused:
            book.refuse(position, command, RejectReason.INTERNAL_ERROR)
        else:
            try:
                decide(book, position, command)
            except Exception as error:
                raise Poison(position, command.asset) from error
        processing_event.events.extend(book.collect_events())

    def forget(self) -> None:
        super().forget()
        self._live.clear()
        gc.collect()

    def book_at(self, asset: str, version: int) -> OrderBook:
        """The book as it was after ``version`` commands.

        Raises AggregateNotFoundError where it has not had as many.
        """
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
        """Applies to the books what is recorded after them; those that are missing are made."""
        versions = {book: books[book].version if book in books else -1 for book in ids}
        for event in self._events_after(versions, upto):
            books[event.originator_id] = event.mutate(books.get(event.originator_id))

    def _events_after(self, versions: Mapping[UUID, int], upto: int | None) -> Iterator[Any]:
        select_after = getattr(self.recorder, "select_after", None)
        if select_after is not None:
            yield from starmap(self.mapper.read, select_after(versions, upto))
            return
        for book, version in versions.items():  # a recorder in memory
            yield from self.events.get(book, gt=version, lte=upto)

    def _revive(self, commands: Iterable[Command]) -> None:
        """Has the books at hand that commands are for; those that are not are read at once."""
        missing: dict[UUID, Command] = {}
        for command in commands:
            if command.asset in self._live:
                self._live.move_to_end(command.asset)
            else:
                missing.setdefault(book_id(command.asset), command)
        books = self.load(list(missing))
        for identifier, command in missing.items():
            self._live[command.asset] = books.get(identifier) or OrderBook.open(
                command.asset, command.timestamp
            )


def decide(book: OrderBook, position: int, command: Command) -> None:
    """Has the book decide the command that stands at ``position`` in the log of Orders."""
    match command:
        case Order.Created():
            book.place(position, command)
        case CancelRequest.Created():
            book.cancel(position, command)
        case ReplaceRequest.Created():
            book.replace(position, command)
