"""The orders, as their users see them: one row an order. Follows Orders."""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from application.persistence.log import Entry
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
    """The read model behind GET /orders."""

    name = "OrderView"
    env: ClassVar[dict[str, str]] = {"POSTGRES_SCHEMA": "order_view"}
    recorder: OrderViewRecorder
    recorder_class = OrderViewRecorder
