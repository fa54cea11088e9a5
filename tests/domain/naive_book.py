"""A reference book, written to be obviously right and for nothing else.

The resting orders are one plain list. Each question is answered by sorting and scanning
it. Each command returns what came of it as plain data.
"""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from domain.values import Side


class NaiveFill(NamedTuple):
    trade_id: int
    maker: UUID
    price: int
    quantity: int
    maker_remaining: int


class Placed(NamedTuple):
    order: UUID
    side: Side
    price: int
    quantity: int
    fills: list[NaiveFill]
    rested: int
    expired: int
    reason: str | None


class Cancelled(NamedTuple):
    order: UUID
    side: Side
    price: int
    remaining: int


class Reduced(NamedTuple):
    order: UUID
    side: Side
    price: int
    quantity: int
    remaining: int
    previous_remaining: int


class Replaced(NamedTuple):
    order: UUID
    side: Side
    price: int
    quantity: int
    previous_price: int
    previous_remaining: int
    fills: list[NaiveFill]
    rested: int


class Refused(NamedTuple):
    order: UUID
    reason: str


NaiveOutcome = Placed | Cancelled | Reduced | Replaced | Refused


@dataclass
class NaiveOrder:
    order: UUID
    side: Side
    price: int
    quantity: int
    arrival: int
    filled: int = 0

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


class NaiveBook:
    def __init__(self) -> None:
        self.resting: list[NaiveOrder] = []
        self.everyone: dict[UUID, NaiveOrder] = {}
        self.status: dict[UUID, str] = {}
        self.trades = 0
        self.arrivals = 0

    def queue(self, side: Side) -> list[NaiveOrder]:
        """The orders of a side by priority: the best price, then the earliest arrival."""
        orders = [order for order in self.resting if order.side == side]
        if side == Side.BUY:
            return sorted(orders, key=lambda order: (-order.price, order.arrival))
        return sorted(orders, key=lambda order: (order.price, order.arrival))

    def place(
        self, order: UUID, side: Side, price: int, quantity: int, *, ioc: bool = False
    ) -> Placed:
        new = NaiveOrder(order, side, price, quantity, arrival=0)
        self.everyone[order] = new
        fills = self._arrive(new, rests=not ioc)
        expired = new.remaining if ioc else 0
        if expired:
            self.status[order] = "EXPIRED"
        reason = "INSUFFICIENT_LIQUIDITY" if expired else None
        rested = new.remaining - expired
        return Placed(order, side, price, quantity, fills, rested, expired, reason)

    def cancel(self, order: UUID) -> Cancelled | Refused:
        found = self._find(order)
        if found is None:
            return Refused(order, "ORDER_NOT_OPEN")
        self.resting.remove(found)
        self.status[order] = "CANCELLED"
        return Cancelled(order, found.side, found.price, found.remaining)

    def replace(
        self, order: UUID, price: int | None, quantity: int | None
    ) -> Reduced | Replaced | Refused:
        found = self._find(order)
        if found is None:
            return Refused(order, "ORDER_NOT_OPEN")
        old_price, old_quantity, old_remaining = found.price, found.quantity, found.remaining
        new_price = old_price if price is None else price
        new_quantity = old_quantity if quantity is None else quantity
        if new_quantity <= found.filled:
            return Refused(order, "QUANTITY_NOT_ABOVE_FILLED")
        found.price = new_price
        found.quantity = new_quantity
        if new_price == old_price and new_quantity <= old_quantity:
            self._look_at(found)
            return Reduced(
                order, found.side, new_price, new_quantity, found.remaining, old_remaining
            )
        self.resting.remove(found)
        fills = self._arrive(found, rests=True)
        return Replaced(
            order,
            found.side,
            new_price,
            new_quantity,
            old_price,
            old_remaining,
            fills,
            found.remaining,
        )

    def _arrive(self, taker: NaiveOrder, *, rests: bool) -> list[NaiveFill]:
        fills = []
        while taker.remaining > 0:
            queue = self.queue(Side.SELL if taker.side == Side.BUY else Side.BUY)
            if not queue:
                break
            maker = queue[0]
            if taker.side == Side.BUY and maker.price > taker.price:
                break
            if taker.side == Side.SELL and maker.price < taker.price:
                break
            quantity = min(taker.remaining, maker.remaining)
            taker.filled += quantity
            maker.filled += quantity
            if maker.remaining == 0:
                self.resting.remove(maker)
            self._look_at(maker)
            self.trades += 1
            fills.append(
                NaiveFill(self.trades, maker.order, maker.price, quantity, maker.remaining)
            )
        if taker.remaining > 0 and rests:
            self.arrivals += 1
            taker.arrival = self.arrivals
            self.resting.append(taker)
        self._look_at(taker)
        return fills

    def _look_at(self, order: NaiveOrder) -> None:
        if order.remaining == 0:
            self.status[order.order] = "FILLED"
        elif order.filled > 0:
            self.status[order.order] = "PARTIALLY_FILLED"
        else:
            self.status[order.order] = "OPEN"

    def _find(self, order: UUID) -> NaiveOrder | None:
        for resting in self.resting:
            if resting.order == order:
                return resting
        return None
