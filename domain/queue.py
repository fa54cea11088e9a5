"""The orders whose turn to trade is to come, first come first.

It is empty after nearly every event: an order trades, and triggers others, in the event of its
command. Only where that would exceed the bound of an event, the rest is left for later events.
"""

from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from domain.book import RestingOrder
from domain.values import Turn


@dataclass(slots=True)
class InTurn:
    """An order in the queue; see Queued. ``spent`` is price units times quantity units."""

    order: RestingOrder
    turn: Turn
    limit: int | None = None
    quote_quantity: int | None = None
    spent: int = 0


class Queue(OrderedDict[int, InTurn]):
    """The waiting turns, in their order, found by the ids' integers."""

    @property
    def head(self) -> InTurn:
        """The entry whose turn comes first; there must be one."""
        return next(iter(self.values()))

    def entry_of(self, order_id: UUID) -> InTurn | None:
        return self.get(order_id.int)

    def append(self, entry: InTurn) -> None:
        self[entry.order.order_id.int] = entry

    def remove(self, order_id: UUID) -> InTurn:
        return self.pop(order_id.int)
