"""The events of an order that repeat what its book decided.

The Order aggregate applies them. A follower that records many decisions makes them without an
aggregate, which costs four times as much.
"""

from typing import Any, Final, TypeVar
from uuid import UUID

from domain.aggregate import build
from domain.values import OrderStatus

T = TypeVar("T")

_PENDING: Final = OrderStatus.PENDING  # see book.py on names like this one


class LiveOrder:
    """The facts of an order that its next event needs."""

    __slots__ = ("asset", "book_version", "order_id", "status", "user_id", "version")

    def __init__(  # noqa: PLR0913, PLR0917 - these are what an event needs
        self,
        order_id: UUID,
        user_id: str,
        asset: str,
        version: int = 1,
        book_version: int = 0,
        status: OrderStatus = _PENDING,
    ) -> None:
        self.order_id = order_id
        self.user_id = user_id
        self.asset = asset
        self.version = version
        self.book_version = book_version
        self.status = status

    def next_event(self, event: type[T], facts: dict[str, Any]) -> T | None:
        """Make the event of a decision, which keeps the facts; None: the order has had it.

        The status stays unless it is told.
        """
        book_version = facts["book_version"]
        if book_version <= self.book_version:
            return None
        self.version += 1
        self.book_version = book_version
        self.status = facts.setdefault("status", self.status)
        facts["user_id"] = self.user_id
        facts["asset"] = self.asset
        facts["originator_id"] = self.order_id
        facts["originator_version"] = self.version
        return build(event, facts)
