"""The ends of orders: by time, and at one time in the order of their arrival."""

import heapq
from datetime import datetime
from typing import Final
from uuid import UUID

_SPARE: Final = 64  # times without orders that are kept for nothing


class Expiries:
    """The orders that have an end, of those in the book and those that wait."""

    def __init__(self) -> None:
        self._orders: dict[datetime, dict[int, UUID]] = {}  # in the order of their coming
        self._times: list[datetime] = []  # a heap; also times that have no orders any more

    @property
    def next(self) -> datetime | None:
        """Return the time of the next end."""
        while self._times and self._times[0] not in self._orders:
            heapq.heappop(self._times)
        return self._times[0] if self._times else None

    def ends(self) -> dict[UUID, datetime]:
        """Return the end of each order, in the order in which they expire."""
        return {
            order_id: time
            for time in sorted(self._orders)
            for order_id in self._orders[time].values()
        }

    def add(self, time: datetime, order_id: UUID) -> None:
        orders = self._orders.get(time)
        if orders is None:
            orders = self._orders[time] = {}
            heapq.heappush(self._times, time)
        orders[order_id.int] = order_id

    def remove(self, time: datetime, order_id: UUID) -> None:
        """An order has left for another reason."""
        orders = self._orders[time]
        del orders[order_id.int]
        if not orders:
            del self._orders[time]
            if len(self._times) > 2 * len(self._orders) + _SPARE:
                self._times = sorted(self._orders)

    def due(self, time: datetime) -> list[UUID]:
        """The orders whose time is over at ``time``, in their order; whoever asks removes them."""
        times: dict[datetime, None] = {}  # one may stand in the heap twice
        while (first := self.next) is not None and first <= time:
            times[heapq.heappop(self._times)] = None
        return [order_id for each in times for order_id in self._orders[each].values()]
