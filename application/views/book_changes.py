"""The changes that a batch of book events makes to the rows of the books."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain.facts import Arrival, Execution
from domain.order_book import OrderBook
from domain.outcomes import departures
from domain.values import Side

# A book's decisions are numbered, and within one whatever goes to the back of a level: so many
# bits are for that. (Earlier releases had the decision's number alone, which is smaller.)
_WITHIN = 24


class BookChanges:
    """The changes to rows by a batch of book events together."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        # Rows that are in the tables, or may be: of orders that left, and what others show.
        self.gone: set[UUID] = set()
        self.shown: dict[UUID, dict[str, Any]] = {}
        # New rows.
        self.rested: dict[UUID, dict[str, Any]] = {}
        self.expiring: dict[UUID, dict[str, Any]] = {}
        # (asset, side, price) -> change of quantity, change of the number of orders
        self.levels: dict[tuple[str, Side, int], list[int]] = defaultdict(lambda: [0, 0])
        # Of orders that rest since then, but came before, perhaps in an earlier batch.
        self._triggered: set[UUID] = set()
        # Of the event that is being applied.
        self._asset = ""
        self._priority = 0

    def apply(self, event: object) -> None:
        if isinstance(event, OrderBook.Decided):
            self._asset = event.asset
            self._priority = event.originator_version << _WITHIN
            for gone in departures(event):
                self._leave(gone.order_id, gone.side, gone.price, gone.shown)
            self._decide(event)
        elif not isinstance(event, OrderBook.Created):
            return
        self.versions[event.asset] = event.originator_version

    def _decide(self, event: OrderBook.Decided) -> None:
        match event:
            case OrderBook.Matched():
                self._arrive(event)
            case OrderBook.Replaced():
                self._leave(event.order_id, event.side, event.previous_price, event.previous_shown)
                self._arrive(event)
            case OrderBook.Continued():
                self._take_turns(event.executed)
            case OrderBook.Cancelled():
                self._leave(event.order_id, event.side, event.price, event.shown)
            case OrderBook.Reduced():
                change = event.shown - event.previous_shown
                self._show(event.order_id, event.side, event.price, change)

    def _arrive(self, event: OrderBook.Arrived) -> None:
        """An order arrives, and then those that it triggers."""
        self._trade(event)
        if event.rested or event.queued is not None:
            if event.rested and not event.waits:
                self._rest(event)
            if event.conditions is not None and event.conditions.expires_at is not None:
                self.expiring[event.order_id] = {
                    "asset": self._asset,
                    "order_id": event.order_id,
                    "expires_at": event.conditions.expires_at,
                }
        self._take_turns(event.triggered)

    def _take_turns(self, executions: Iterable[Execution]) -> None:
        """Apply the turns of earlier orders, which trade, and then rest or leave or wait again."""
        for execution in executions:
            self._trade(execution)
            if execution.rested:
                self._triggered.add(execution.order_id)
                self._rest(execution)
            elif execution.queued is None:
                self._drop(execution.order_id)

    def _trade(self, arrival: Arrival) -> None:
        """Apply the trades of an arriving order to the orders that it meets."""
        side = arrival.side.opposite
        for fill in arrival.fills:
            if fill.maker_remaining == 0:
                self._leave(fill.maker_order_id, side, fill.price, fill.quantity)
                continue
            change = fill.refill - fill.quantity
            self._show(fill.maker_order_id, side, fill.price, change, to_back=fill.refill > 0)
        for met in arrival.prevented:
            if met.is_cancelled:
                self._leave(met.order_id, side, met.price, met.previous_shown)
            else:
                self._show(met.order_id, side, met.price, met.shown - met.previous_shown)

    def _rest(self, arrival: Arrival) -> None:
        self.rested[arrival.order_id] = {
            "order_id": arrival.order_id,
            "asset": self._asset,
            "side": arrival.side,
            "price": arrival.price,
            "remaining": arrival.shown,
            "priority": self._back(),
        }
        self._level(arrival.side, arrival.price, arrival.shown, 1)

    def _show(
        self, order_id: UUID, side: Side, price: int | None, change: int, *, to_back: bool = False
    ) -> None:
        """An order shows more or less than before; its next slice is at the back of its level."""
        if change:
            self._level(side, price, change)
        row = self.rested.get(order_id)
        if row is not None:
            row["remaining"] += change
        elif change or to_back:
            row = self.shown.get(order_id)
            if row is None:
                row = self.shown[order_id] = {"order_id": order_id, "change": 0}
            row["change"] += change
        if to_back and row is not None:
            row["priority"] = self._back()

    def _leave(self, order_id: UUID, side: Side, price: int | None, shown: int) -> None:
        if shown:  # a stop that waits is at no level
            self._level(side, price, -shown, -1)
        self._drop(order_id)

    def _drop(self, order_id: UUID) -> None:
        if self.expiring:
            self.expiring.pop(order_id, None)
        if self.rested.pop(order_id, None) is None or order_id in self._triggered:
            self.shown.pop(order_id, None)
            self.gone.add(order_id)

    def _back(self) -> int:
        """The place behind all others: it grows with every decision, and within each."""
        self._priority += 1
        return self._priority

    def _level(self, side: Side, price: int | None, quantity: int, orders: int = 0) -> None:
        if price is not None:  # as it is for all that is shown
            change = self.levels[self._asset, side, price]
            change[0] += quantity
            change[1] += orders
