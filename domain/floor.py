"""The state of one asset's market: its book, its waiting stops, and its rules.

Everything that changes it is a fact, and comes from the events of the OrderBook, so that
events alone give it again.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from domain.book import Book, RestingOrder
from domain.errors import CancelReason
from domain.expiries import Expiries
from domain.facts import Arrival, Departure, Execution, Fill, Left
from domain.instrument import Instrument
from domain.queue import InTurn, Queue
from domain.stops import Stops
from domain.values import Conditions, Side, Turn


class Floor:
    """The state of trading in one asset; ``instrument`` None: it has no rules of its own."""

    def __init__(self) -> None:
        self.book = Book()
        self.stops = Stops()
        self.expiries = Expiries()
        self._of_users: dict[str, dict[int, RestingOrder]] = {}  # by the ids' integers
        # The users who came to have orders here, or ceased to; True: they had some before. None
        # where nobody asks.
        self.turnover: dict[str, bool] | None = None
        self.queue = Queue()
        # Orders that are gone, and whose departure is left for later events.
        self.departing: deque[Left] = deque()
        # The request of the engine that goes on with what is left, once there is anything.
        self.continuation: UUID | None = None
        self.instrument: Instrument | None = None
        self.last_trade_id = 0
        self.last_price: int | None = None

    # Looking.

    def find(self, order_id: UUID) -> RestingOrder | None:
        """An order that rests, waits, or is in the queue."""
        order = self.book.orders.get(order_id) or self.stops.orders.get(order_id)
        if order is None and (entry := self.queue.entry_of(order_id)) is not None:
            return entry.order
        return order

    @property
    def has_work_left(self) -> bool:
        """Test if anything is left for later events."""
        return bool(self.queue) or bool(self.departing)

    def waits(self, order_id: UUID) -> bool:
        return order_id in self.stops.orders

    def has_orders(self, user_id: str | None = None) -> bool:
        """Test if anything rests or waits here, or anything of a user."""
        return bool(self._of_users) if user_id is None else user_id in self._of_users

    def count_of(self, user_id: str) -> int:
        """Count the orders of a user that rest or wait here."""
        return len(self._of_users.get(user_id, ()))

    def users(self) -> Iterable[str]:
        """The users of whom anything rests or waits here."""
        return self._of_users.keys()

    def orders_of(self, user_id: str) -> list[RestingOrder]:
        """All of a user's orders, in the order of their ids, which any copy of the book has."""
        orders = self._of_users.get(user_id, {})
        return [orders[key] for key in sorted(orders)]

    def take_turnover(self) -> list[tuple[str, bool]]:
        """Return users with or without orders here (True, False), unlike at the last call.

        The first call begins it.
        """
        turnover = self.turnover or {}
        self.turnover = {}
        return [
            (user_id, not had_orders)
            for user_id, had_orders in turnover.items()
            if had_orders is not self.has_orders(user_id)
        ]

    def all_orders(self) -> Iterable[RestingOrder]:
        """All bids, then all asks, in priority; then those that wait; then the queue."""
        for side in Side:
            yield from self.book.walk(side)
        yield from self.stops
        for entry in self.queue.values():
            yield entry.order

    def departure(self, order: RestingOrder, reason: CancelReason) -> Departure:
        """Return the departure that an order is to have when it leaves."""
        shown = order.shown if order.order_id in self.book.orders else 0
        return Departure(
            order.order_id,
            order.user_id,
            order.side,
            order.price,
            order.remaining,
            shown,
            reason,
        )

    def due(self, time: datetime) -> list[RestingOrder]:
        """The orders whose time is over, which then leave."""
        first = self.expiries.next
        if first is None or first > time:
            return []
        return [
            order
            for order_id in self.expiries.due(time)
            if (order := self.find(order_id)) is not None
        ]

    # Changing.

    def retire(
        self, orders: Iterable[RestingOrder], reason: CancelReason, request_id: UUID | None = None
    ) -> None:
        """Remove orders whose departure is left for later events."""
        resting = self.book.orders
        for order in orders:
            shown = order.shown if order.order_id in resting else 0
            self.departing.append(
                Left(
                    order.order_id,
                    order.user_id,
                    order.side,
                    order.price,
                    order.remaining,
                    shown,
                    reason,
                    request_id,
                )
            )
            self.leave(order.order_id)

    def line_up(self, fills: Iterable[Fill]) -> None:
        """Put the stops that trades reach at the end of the queue, in their order."""
        if not self.stops.orders:
            return
        for fill in fills:
            for stop in self.stops.reached_by(fill.price):
                self.queue.append(InTurn(self.stops.remove(stop.order_id), Turn.TRIGGERED))

    def trade(self, arrival: Arrival) -> None:
        """Apply an arriving order's trades, and prevented trades, to the orders that it met."""
        for fill in arrival.fills:
            maker = self.book.fill(fill.maker_order_id, fill.quantity)
            if maker.remaining == 0:
                self._forget(maker)
        for prevented in arrival.prevented:
            if prevented.is_cancelled:
                self.leave(prevented.order_id)
            else:
                conditions = self.book.orders[prevented.order_id].conditions
                self.book.amend(prevented.order_id, prevented.quantity, conditions)
        if arrival.fills:
            self.last_trade_id += len(arrival.fills)
            self.last_price = arrival.fills[-1].price

    def leave(self, order_id: UUID) -> None:
        """Remove an order, which is in the book, waits, or is in the queue."""
        order = self.book.remove(order_id)
        if order is None:
            if order_id in self.stops.orders:
                order = self.stops.remove(order_id)
            else:
                order = self.queue.remove(order_id).order
        self._forget(order)

    def amend(
        self, order_id: UUID, price: int | None, quantity: int, conditions: Conditions | None
    ) -> None:
        """Change an order that keeps its place; its time doesn't change."""
        if self.waits(order_id) and conditions is not None:
            self.stops.amend(order_id, price, quantity, conditions)
        else:
            self.book.amend(order_id, quantity, conditions)

    def arrive(self, arrival: Arrival, conditions: Conditions | None, *, waits: bool) -> None:
        """Apply the whole result of an order that arrives."""
        if arrival.fills or arrival.prevented:
            self.trade(arrival)
        if arrival.rested:
            order = RestingOrder(
                arrival.order_id,
                arrival.user_id,
                arrival.side,
                arrival.price,
                arrival.quantity or 0,
                arrival.rested,
                conditions,
                0 if waits else arrival.rested - arrival.shown,
            )
            self.stand(order, waits=waits)
            self.note_expiry(order)
        elif arrival.queued is not None:
            filled = sum(fill.quantity for fill in arrival.fills)
            left = arrival.queued
            order = RestingOrder(
                arrival.order_id,
                arrival.user_id,
                arrival.side,
                arrival.price,
                left.remaining + filled if arrival.quantity is None else arrival.quantity,
                left.remaining,
                conditions,
            )
            self.enqueue(
                InTurn(order, left.turn, left.limit, left.quote_quantity, _spent(arrival.fills))
            )
            self.note_expiry(order)

    def proceed(self, execution: Execution) -> None:
        """Apply the whole result of an order whose turn came.

        It is in the queue, or a stop that waits until then.
        """
        entry = self.queue.entry_of(execution.order_id)
        order = self.stops.remove(execution.order_id) if entry is None else entry.order
        left = execution.queued
        if left is None:
            if entry is not None:
                self.queue.remove(execution.order_id)
            self._forget(order)
            self.arrive(execution, order.conditions, waits=False)
            return
        if entry is None:
            entry = InTurn(order, left.turn)
            self.queue.append(entry)
        self.trade(execution)
        order.quantity, order.remaining = execution.quantity, left.remaining
        entry.turn, entry.limit = left.turn, left.limit
        entry.quote_quantity = left.quote_quantity
        entry.spent += _spent(execution.fills)

    def enqueue(self, entry: InTurn) -> None:
        """Put an order at the end of the queue; see ``note_expiry`` as well."""
        order = entry.order
        self.queue.append(entry)
        self._remember(order)

    def stand(self, order: RestingOrder, *, waits: bool) -> None:
        """Put an order where it rests, or waits; see ``note_expiry`` as well."""
        if waits:
            self.stops.wait(order)
        else:
            self.book.rest(order)
        self._remember(order)

    def _remember(self, order: RestingOrder) -> None:
        orders = self._of_users.get(order.user_id)
        if orders is None:
            orders = self._of_users[order.user_id] = {}
            if self.turnover is not None:
                self.turnover.setdefault(order.user_id, False)
        orders[order.order_id.int] = order

    def note_expiry(self, order: RestingOrder) -> None:
        """Remember the time at which an order expires, if it ever does."""
        if order.conditions is not None and order.conditions.expires_at is not None:
            self.expiries.add(order.conditions.expires_at, order.order_id)

    def _forget(self, order: RestingOrder) -> None:
        """Forget all that is remembered of an order beyond its place."""
        orders = self._of_users[order.user_id]
        del orders[order.order_id.int]
        if not orders:
            del self._of_users[order.user_id]
            if self.turnover is not None:
                self.turnover.setdefault(order.user_id, True)
        if order.conditions is not None and order.conditions.expires_at is not None:
            self.expiries.remove(order.conditions.expires_at, order.order_id)


def _spent(fills: Iterable[Fill]) -> int:
    return sum(fill.price * fill.quantity for fill in fills)
