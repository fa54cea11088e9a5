"""Matching follows Orders and drives the books: the one place where fates are decided."""

import logging
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, cast
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, ProcessingEvent
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Tracking

from application.persistence.following import BatchProcess
from domain.errors import RejectReason
from domain.order import Order
from domain.order_book import OrderBook
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import book_id

log = logging.getLogger(__name__)

Command = Order.Created | CancelRequest.Created | ReplaceRequest.Created
COMMANDS: Final = (Order.Created, CancelRequest.Created, ReplaceRequest.Created)


class Matching(BatchProcess):
    """Decides every order and request, in the order of the log."""

    name = "Matching"
    topics = tuple(command.TOPIC for command in COMMANDS)
    # Books stay alive between batches: loading one means replaying it. They are shared
    # with nobody, and dropped whenever a batch fails (BatchFollower.forget), so neither
    # copies nor a look for newer events are needed.
    env: ClassVar[dict[str, str]] = {
        "AGGREGATE_CACHE_MAXSIZE": "0",
        "AGGREGATE_CACHE_FASTFORWARD": "n",
        "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
    }

    def policy(
        self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]
    ) -> None:
        """Has the asset's book decide the command.

        A command that makes the book raise is refused, and the market goes on: deciding
        reads only, so the book is as it was.
        """
        command = cast("Command", domain_event)  # by self.topics
        position = cast("Tracking", processing_event.tracking).notification_id
        book = self._book(command.asset, command.timestamp, processing_event)
        try:
            decide(book, position, command)
        except Exception:
            log.exception(
                "command refused: the book raised",
                extra={"asset": command.asset, "position": position},
            )
            book.refuse(position, command, RejectReason.INTERNAL_ERROR)
        processing_event.collect_events(book)

    def book_at(self, asset: str, version: int) -> OrderBook:
        """The book as it was after ``version`` commands.

        Raises AggregateNotFoundError where it has not had as many.
        """
        book: OrderBook = self.repository.get(book_id(asset), version=version)
        if book.version != version:
            msg = f"The book of {asset} has had only {book.version} commands"
            raise AggregateNotFoundError(msg)
        return book

    def lag(self, now: datetime) -> timedelta:
        """For how long the oldest command that is not decided yet has been waiting."""
        waiting = self.waiting("Orders", limit=1)
        if not waiting:
            return timedelta(0)
        oldest: Any = self.mappers["Orders"].to_domain_event(waiting[0])
        age: timedelta = now - oldest.timestamp
        return max(age, timedelta(0))

    def _book(
        self, asset: str, time: datetime, processing_event: ProcessingEvent[UUID]
    ) -> OrderBook:
        """The live book; within a batch also one that is not recorded yet."""
        identifier = book_id(asset)
        if identifier in processing_event.aggregates:
            return cast("OrderBook", processing_event.aggregates[identifier])
        try:
            return self.repository.get(identifier)
        except AggregateNotFoundError:
            return OrderBook.open(asset, time)


def decide(book: OrderBook, position: int, command: Command) -> None:
    """Has the book decide the command that stands at ``position`` in the log of Orders."""
    match command:
        case Order.Created():
            book.place(position, command)
        case CancelRequest.Created():
            book.cancel(position, command)
        case ReplaceRequest.Created():
            book.replace(position, command)
