"""Orders records the requests of users, and applies Matching's decisions to each order."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, ProcessingEvent
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import IntegrityError
from eventsourcing.utils import EnvType

from application.persistence.following import BatchProcess, Recording
from application.persistence.log import Entry
from application.persistence.position import Advance
from domain.errors import RejectReason
from domain.instrument import Refusal
from domain.live_order import LiveOrder
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import outcomes, touched
from domain.requests import (
    ContinuationRequest,
    ExpiryRequest,
    InstrumentRequest,
    LimitsRequest,
    MassCancelRequest,
    TimeRequest,
    UserRequest,
)
from domain.values import Terms, continuation_id

Request: TypeAlias = (
    MassCancelRequest
    | ExpiryRequest
    | InstrumentRequest
    | LimitsRequest
    | TimeRequest
    | UserRequest
)

_ENGINE: Final = "engine"
MAX_LIVE_ORDERS: Final = 100_000  # about 45 MB


class Receipt(NamedTuple):
    """A command that is committed: ``position`` is its place in the log of Orders."""

    order: Order
    position: int
    is_new: bool = True


class Reply(NamedTuple):
    """An order as a command left it, and why the command was refused, if it was."""

    order: Order
    refusal: Refusal | None


class MassOutcome(NamedTuple):
    """The orders that left on a request, and the assets whose books failed on it."""

    cancelled: list[UUID]
    failed: list[str]
    leaving: int = 0  # how many more left, whose departures later events hold


class Placement(NamedTuple):
    order_id: UUID
    terms: Terms


class ClientOrderIdReused(Exception):
    """The clientOrderId stands for another order already."""


class Orders(BatchProcess):
    """The commands of users, and the state of their orders."""

    name = "Orders"

    def __init__(self, env: EnvType | None = None) -> None:
        super().__init__(env)
        # Orders that are likely to be touched again, the least recently touched first, by their
        # ids' integers: a UUID hashes and compares in Python.
        self._live: OrderedDict[int, LiveOrder] = OrderedDict()

    def get(self, order_id: UUID) -> Order:
        """Return an order. Raises AggregateNotFoundError, also for the id of a request."""
        order: object = self.repository.get(order_id)
        if not isinstance(order, Order):
            raise AggregateNotFoundError(f"{order_id} is not an order")
        return order

    def place(self, placement: Placement, time: datetime) -> Receipt:
        """Place an order. The same again under the same id changes nothing.

        Raises ClientOrderIdReused where the id stands for an order with other terms.
        """
        [result] = self.place_all([placement], time)
        if isinstance(result, ClientOrderIdReused):
            raise result
        return result

    def placed(self, placement: Placement) -> Receipt:
        """Return the receipt of an order that was placed before, as the book knows it.

        Raises AggregateNotFoundError, and ClientOrderIdReused where the id stands for an order
        with other terms.
        """
        order_id, terms = placement
        receipt = self._placed_before({order_id: terms}).get(order_id)
        if receipt is None:
            raise AggregateNotFoundError(f"{order_id} is not placed")
        if receipt.order.terms != terms:
            raise ClientOrderIdReused
        return receipt

    def place_all(
        self, placements: Sequence[Placement], time: datetime
    ) -> list[Receipt | ClientOrderIdReused]:
        """Place orders in one commit, each for itself: a conflict fails alone."""
        known: dict[UUID, Receipt] = {}
        while True:
            fresh: dict[UUID, Terms] = {}  # in the order of their first mention
            for order_id, terms in placements:
                if order_id not in known:
                    fresh.setdefault(order_id, terms)
            orders = [Order.place(order_id, terms, time) for order_id, terms in fresh.items()]
            try:
                positions = self.save_all(orders)
            except IntegrityError:
                # Some were placed before, perhaps this very moment: find them, try the rest.
                found = self._placed_before(fresh)
                if not found:
                    raise
                known |= found
            else:
                break
        new = {
            order.id: Receipt(order, position)
            for order, position in zip(orders, positions, strict=True)
        }
        results: list[Receipt | ClientOrderIdReused] = []
        for order_id, terms in placements:
            receipt = new.get(order_id) or known[order_id]
            results.append(receipt if receipt.order.terms == terms else ClientOrderIdReused())
            if order_id in new:  # from its second mention on, it is one placed before
                known[order_id] = new.pop(order_id)._replace(is_new=False)
        return results

    def cancel(self, order_id: UUID, request_id: UUID, time: datetime) -> Receipt:
        """Request the cancel of an order. Raises AggregateNotFoundError, OrderClosed."""
        order = self.current(order_id)
        [position] = self.save_all([order.request_cancel(request_id, time)])
        return Receipt(order, position)

    def replace(
        self, order_id: UUID, request_id: UUID, time: datetime, **changes: int | None
    ) -> Receipt:
        """Request another price, total quantity, stop_price or display_quantity, in units.

        Raises AggregateNotFoundError, OrderClosed.
        """
        order = self.current(order_id)
        [position] = self.save_all([order.request_replace(request_id, time, **changes)])
        return Receipt(order, position)

    def ask(self, request: Request) -> int:
        """Record a request that is about no single order; return its place in the log."""
        return self.ask_all([request])[0]

    def ask_all(self, requests: Sequence[Request]) -> Sequence[int]:
        """Several of them in one commit."""
        return self.save_all(requests)

    def prepare(self, entries: Sequence[Entry], move: Advance) -> Recording:
        """Load the orders that a batch touches, unless they are live, in one read."""
        if len(self._live) > MAX_LIVE_ORDERS:
            self.settle()
            while len(self._live) > MAX_LIVE_ORDERS - MAX_LIVE_ORDERS // 10:
                self._live.popitem(last=False)
        self._revive({id_.int: id_ for _, event in entries for id_ in touched(event)})
        return super().prepare(entries, move)

    def take_up(self, commands: Iterable[Entry]) -> None:
        """Keep the orders that commands place, of which nothing has been decided yet."""
        for _, event in commands:
            if type(event) is Order.Created:
                self._live[event.originator_id.int] = event.live()

    def policy(
        self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]
    ) -> None:
        """Record a decision of the book at each order that it touches."""
        for order_id, event, facts in outcomes(domain_event):
            outcome = self._live[order_id.int].next_event(event, facts)
            if outcome is not None:
                processing_event.events.append(outcome)
        if isinstance(domain_event, OrderBook.Decided) and domain_event.continues:
            request = continuation(domain_event)
            processing_event.events.extend(request.collect_events())

    def wake(self, prepared: Recording, recorded: int | None) -> None:
        """Wake Matching, too, where a command for it is among what was recorded."""
        super().wake(prepared, recorded)
        if recorded is not None and asks(prepared):
            self.recorder.wake(recorded)

    def forget(self) -> None:
        super().forget()
        self._live.clear()

    def _revive(self, order_ids: Mapping[int, UUID]) -> None:
        missing = []
        for key, order_id in order_ids.items():
            if key in self._live:
                self._live.move_to_end(key)
            else:
                missing.append(order_id)
        if missing:
            self.settle()
            for order_id, order in self.load(missing).items():
                self._live[order_id.int] = order.live()

    def current(self, order_id: UUID) -> Order:
        """The order as the book knows it: also with decisions that are yet to be recorded.

        A user who has seen a decision must not be judged by an earlier state. Raises
        AggregateNotFoundError.
        """
        since = self.recorder.max_tracking_id("Matching")
        order = self.get(order_id)
        for _ in self._news_of({order.id: order}, since):
            pass
        return order

    def reply_to(self, order: Order, request_id: UUID | None, since: int, upto: int) -> Reply:
        """The order as a decided request (None: its own placing) left it.

        ``order`` is as it was when the request was recorded; what has happened to it since
        is among the book's decisions from ``since`` to ``upto``: so an answer waits for one
        commit after its own, and costs one read.
        """
        for event in self._news_of({order.id: order}, since, upto):
            if getattr(event, "request_id", None) == request_id:
                return Reply(order, _refusal(event) if request_id else None)
        raise LookupError(f"{request_id or order.id} is not decided yet")

    def outcome_of(self, request_id: UUID, since: int, upto: int) -> MassOutcome:
        """Return the outcome of a request, from the decisions after ``since`` up to ``upto``."""
        cancelled: list[UUID] = []
        failed: list[str] = []
        leaving = 0
        for decision in self._decisions(since, upto):
            if not isinstance(decision, OrderBook.Decided):
                continue  # the venue's: it has no orders
            if getattr(decision, "request_id", None) == request_id:
                if isinstance(decision, OrderBook.Refused):
                    failed.append(decision.asset)
                departed = getattr(decision, "departed", ())
                cancelled.extend([departure.order_id for departure in departed])
                leaving += decision.leaving
        return MassOutcome(cancelled, failed, leaving)

    def _decisions(self, since: int | None, upto: int | None) -> Iterator[Any]:
        for notifications in self.pull_notifications(
            "Matching", start=since, stop=upto, inclusive_of_start=False
        ):
            for decision, _ in self.convert_notifications("Matching", notifications):
                yield decision

    def _news_of(
        self, orders: Mapping[UUID, Order], since: int | None, upto: int | None = None
    ) -> Iterator[Any]:
        """Apply to orders, without recording it, what Matching has decided after ``since``."""
        for decision in self._decisions(since, upto):
            for outcome in outcomes(decision):
                order = orders.get(outcome.order_id)
                if order is not None:
                    order.record(outcome.event, **outcome.facts)
                    yield from order.collect_events()

    def trail(self, order_id: UUID, request_ids: Iterable[UUID]) -> list[Any]:
        """The events of an order and of the requests about it, in the order of the log.

        ``request_ids`` are those that a view knows; the outcomes name those that are
        decided, also where the view is behind. Raises AggregateNotFoundError.
        """
        requests = set(request_ids)
        while True:
            events = self.events_of([order_id, *requests])
            if not events or not isinstance(events[0], Order.Created):
                raise AggregateNotFoundError(f"{order_id} is not an order")
            decided = {event.request_id for event in events if hasattr(event, "request_id")}
            if requests >= decided - {None}:
                return events
            requests |= decided - {None}  # read again: others may have been decided meanwhile

    def _placed_before(self, placements: dict[UUID, Terms]) -> dict[UUID, Receipt]:
        """Those that are in the store already, as the book knows them: see ``current``."""
        since = self.recorder.max_tracking_id("Matching")
        orders: dict[UUID, Any] = {}
        found: dict[UUID, Receipt] = {}
        for notification in self.recorder.select_trail(list(placements)):
            event: Any = self.mapper.to_domain_event(notification)
            order_id = event.originator_id
            orders[order_id] = event.mutate(orders.get(order_id))
            found.setdefault(order_id, Receipt(orders[order_id], notification.id, is_new=False))
        for _ in self._news_of(orders, since):
            pass
        return found


def asks(prepared: Recording) -> bool:
    """Test if a command for Matching is among what is to be recorded."""
    return any(isinstance(event, ContinuationRequest.Created) for event in prepared.events)


def continuation(decision: OrderBook.Decided) -> ContinuationRequest:
    """The request to go on with what a decision left for later events.

    It has the time of the decision, so that no time passes with what follows from it; and an id
    of its own, so that it is recorded once, whoever follows.
    """
    return ContinuationRequest.make(
        continuation_id(decision.originator_id, decision.originator_version),
        user_id=_ENGINE,
        asset=decision.asset,
        time=decision.timestamp,
    )


def _refusal(event: Any) -> Refusal | None:
    """Return why the request that an order's event answers was refused, if it was."""
    if isinstance(event, Order.RequestRefused):
        return Refusal(event.reason, event.limit)
    # It came too late: the order had just expired.
    return Refusal(RejectReason.ORDER_NOT_OPEN) if isinstance(event, Order.Expired) else None
