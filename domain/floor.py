"""Where one asset trades: its book, its waiting stops, and what decides about them.

Everything that changes it is a fact, and comes from the events of the OrderBook, so that
events alone give it again.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from domain.book import Book, RestingOrder
from domain.errors import CancelReason
from domain.expiries import Expiries
from domain.facts import Arrival, Departure
from domain.instrument import Instrument
from domain.stops import Stops
from domain.values import Conditions, Side


class Floor:
    """The state of trading in one asset; ``instrument`` None: it has no rules of its own."""

    def __init__(self) -> None:
        self.book = Book()
        self.stops = Stops()
        self.expiries = Expiries()
        self._of_users: dict[str, dict[int, RestingOrder]] = {}  # by the ids' integers
        # The users who came to have orders here, or ceased to, each with whether they had any
        # before; None: nobody asks for it.
        self.turnover: dict[str, bool] | None = None
        self.instrument: Instrument | None = None
        self.last_trade_id = 0
        self.last_price: int | None = None

    # Looking.

    def find(self, order_id: UUID) -> RestingOrder | None:
        """An order that rests or waits."""
        return self.book.orders.get(order_id) or self.stops.orders.get(order_id)

    def waits(self, order_id: UUID) -> bool:
        return order_id in self.stops.orders

    def has_orders(self, user_id: str | None = None) -> bool:
        """Whether anything rests or waits here, or anything of a user."""
        return bool(self._of_users) if user_id is None else user_id in self._of_users

    def count_of(self, user_id: str) -> int:
        """How many orders of a user rest or wait here."""
        return len(self._of_users.get(user_id, ()))

    def users(self) -> Iterable[str]:
        """The users of whom anything rests or waits here."""
        return self._of_users.keys()

    def orders_of(self, user_id: str) -> list[RestingOrder]:
        """All of a user's orders, in the order of their ids, which any copy of the book has."""
        orders = self._of_users.get(user_id, {})
        return [orders[key] for key in sorted(orders)]

    def take_turnover(self) -> list[tuple[str, bool]]:
        """Users with or without orders here now (True, False), who were not so at the last call.

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
        """All bids, then all asks, in priority; then those that wait."""
        for side in Side:
            yield from self.book.walk(side)
        yield from self.stops

    def departure(self, order: RestingOrder, reason: CancelReason) -> Departure:
        """What it is to be when an order leaves."""
        shown = 0 if self.waits(order.order_id) else order.shown
        return Departure(
            order.order_id,
            order.user_id,
            order.side,
            order.price,
            order.remaining,
            shown,
            reason,
        )

    def due(self, time: datetime) -> tuple[Departure, ...]:
        """The orders whose time is over, which then leave."""
        first = self.expiries.next
        if first is None or first > time:
            return ()
        return tuple(
            [
                self.departure(order, CancelReason.TIME_EXPIRED)
                for order_id in self.expiries.due(time)
                if (order := self.find(order_id)) is not None
            ]
        )

    # Changing.

    def trade(self, arrival: Arrival) -> None:
        """Applies an arriving order's trades, and what prevention did, to those that it met."""
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
        """Takes an order away, which is in the book or waits."""
        order = self.book.orders.get(order_id)
        if order is None:
            order = self.stops.remove(order_id)
        else:
            self.book.remove(order_id)
        self._forget(order)

    def amend(
        self, order_id: UUID, price: int | None, quantity: int, conditions: Conditions | None
    ) -> None:
        """Changes an order that keeps its place; its time doesn't change."""
        if self.waits(order_id) and conditions is not None:
            self.stops.amend(order_id, price, quantity, conditions)
        else:
            self.book.amend(order_id, quantity, conditions)

    def arrive(self, arrival: Arrival, conditions: Conditions | None, *, waits: bool) -> None:
        """Applies all that came of an order that arrives."""
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

    def trigger(self, arrival: Arrival, stop: RestingOrder | None = None) -> None:
        """Applies all that came of a stop when its trigger came; ``stop``: if it is out already."""
        if stop is None:
            stop = self.stops.remove(arrival.order_id)
        self._forget(stop)
        self.arrive(arrival, stop.conditions, waits=False)

    def stand(self, order: RestingOrder, *, waits: bool) -> None:
        """Puts an order where it rests, or waits; see ``note_expiry`` as well."""
        if waits:
            self.stops.wait(order)
        else:
            self.book.rest(order)
        orders = self._of_users.get(order.user_id)
        if orders is None:
            orders = self._of_users[order.user_id] = {}
            if self.turnover is not None:
                self.turnover.setdefault(order.user_id, False)
        orders[order.order_id.int] = order

    def note_expiry(self, order: RestingOrder) -> None:
        """Remembers when the time of an order is over, if it ever is."""
        if order.conditions is not None and order.conditions.expires_at is not None:
            self.expiries.add(order.conditions.expires_at, order.order_id)

    def _forget(self, order: RestingOrder) -> None:
        """What is remembered of an order beside its place."""
        orders = self._of_users[order.user_id]
        del orders[order.order_id.int]
        if not orders:
            del self._of_users[order.user_id]
            if self.turnover is not None:
                self.turnover.setdefault(order.user_id, True)
        if order.conditions is not None and order.conditions.expires_at is not None:
            self.expiries.remove(order.conditions.expires_at, order.order_id)
