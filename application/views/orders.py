"""The orders, as their users see them: one row an order. Follows Orders and Matching.

Placements and requests come from the log of Orders, what became of them from Matching's; the
outcomes that Orders records are no news to the view.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, ClassVar
from uuid import UUID

from application.deciding import COMMANDS
from application.orders import Orders
from application.persistence.log import Entry
from application.persistence.position import Move
from application.views import order_rows
from application.views.order_pages import OrderFilter
from application.views.order_rows import OrderRow
from application.views.order_tables import INSERTS, STEPS, TABLES
from application.views.view import Rows, View, ViewRecorder

_EVERYTHING = OrderFilter()


class OrderViewRecorder(ViewRecorder):
    """The recorder of the tables that ``order_tables`` describes."""

    retired_tables = 3
    tables: ClassVar[tuple[str, ...]] = TABLES
    steps: ClassVar[Mapping[str, str]] = STEPS
    inserts: ClassVar[tuple[str, ...]] = INSERTS

    def changes(self, entries: Sequence[Entry]) -> dict[str, Rows]:
        return order_rows.changes(entries)

    def order(self, order_id: UUID) -> OrderRow | None:
        rows = self.query(
            self.sql("SELECT * FROM {schema}.orders WHERE order_id = %(order_id)s"),
            {"order_id": order_id},
        )
        return OrderRow.from_columns(rows[0]) if rows else None

    def orders(
        self, wanted: OrderFilter = _EVERYTHING, *, before: int | None = None, limit: int
    ) -> list[OrderRow]:
        """Return orders, newest first; only those whose position is below ``before``."""
        if wanted.is_empty:
            return []
        statement, parameters = wanted.page(before, limit)
        rows = self.query_in_order(self.sql(statement), parameters)
        return [OrderRow.from_columns(row) for row in rows]

    def request_ids(self, order_id: UUID) -> list[UUID]:
        """Return what was asked about an order after it was placed."""
        rows = self.query(
            self.sql("SELECT request_id FROM {schema}.requests WHERE order_id = %(order_id)s"),
            {"order_id": order_id},
        )
        return [row["request_id"] for row in rows]


class OrderView(View):
    """The read model behind GET /orders.

    It has a position in each log, and stops before a decision whose command it has not had.
    """

    name = "OrderView"
    env: ClassVar[dict[str, str]] = {"POSTGRES_SCHEMA": "order_view"}
    recorder: OrderViewRecorder
    recorder_class = OrderViewRecorder

    def topics_of(self, leader_name: str) -> Sequence[str]:
        """All commands of Orders, as Matching does, so that both come to the same position."""
        return tuple(each.TOPIC for each in COMMANDS) if leader_name == Orders.name else ()

    def due(
        self, leader_name: str, entries: Sequence[Entry], moves: Sequence[Move]
    ) -> Sequence[Entry]:
        if leader_name == Orders.name:
            return entries
        [position] = [move.upto for move in moves] or [self.position(Orders.name) or 0]
        is_due = _decided_upto(position)
        return list(takewhile(lambda entry: is_due(entry[1]), entries))

    def due_in_partition(self, leader_name: str, number: int) -> Callable[[Any], bool]:
        if leader_name == Orders.name:
            return super().due_in_partition(leader_name, number)
        return _decided_upto(self.position_in(Orders.name, number))


def _decided_upto(position: int) -> Callable[[Any], bool]:
    """Return the test for events of Matching about commands up to a place in the log of Orders."""

    def is_due(event: Any) -> bool:
        decided: int = getattr(event, "position", 0)
        return decided <= position

    return is_due
