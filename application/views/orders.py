"""The orders, as their users see them: one row an order. Follows Orders."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID

from application.persistence.log import Entry
from application.views.view import Rows, View, ViewRecorder
from domain.order import Order
from domain.requests import CancelRequest, ReplaceRequest
from domain.values import OrderStatus


class OrderRow(NamedTuple):
    """An order; amounts in units, ``notional`` in price units x quantity units.

    ``reason_limit`` is what the rule allows that is the ``reason``, where it has a number.
    ``position`` is the place of its placing in the log of Orders: newer is larger.
    """

    order_id: UUID
    user_id: str
    asset: str
    side: str
    order_type: str
    time_in_force: str
    price: int | None
    quantity: int | None
    filled_quantity: int
    notional: int
    status: str
    reason: str | None
    reason_limit: int | None
    client_order_id: str | None
    post_only: bool
    stop_price: int | None
    take_profit: bool
    display_quantity: int | None
    expires_at: datetime | None
    self_trade_prevention: str
    quote_quantity: int | None
    created_at: datetime
    updated_at: datetime
    position: int

    @classmethod
    def of(cls, order: Order, position: int = 0) -> Self:
        """The row that the view will hold of an order that is at hand."""
        terms = order.terms
        return cls(
            order_id=order.id,
            user_id=terms.user_id,
            asset=terms.asset,
            side=terms.side,
            order_type=terms.order_type,
            time_in_force=terms.time_in_force,
            price=order.price,
            quantity=order.quantity,
            filled_quantity=order.filled_quantity,
            notional=order.notional,
            status=order.status,
            reason=order.reason,
            reason_limit=order.limit,
            client_order_id=terms.client_order_id,
            post_only=terms.post_only,
            stop_price=order.stop_price,
            take_profit=terms.take_profit,
            display_quantity=order.display_quantity,
            expires_at=terms.expires_at,
            self_trade_prevention=terms.self_trade_prevention,
            quote_quantity=terms.quote_quantity,
            created_at=order.created_on,
            updated_at=order.updated_on,
            position=position,
        )


# Amounts that change are added; of the others, those that are missing stay as they are.
_UPDATE = """UPDATE {schema}.orders o SET
        price = coalesce(c.price, o.price),
        quantity = coalesce(c.quantity, o.quantity),
        stop_price = coalesce(c.stop_price, o.stop_price),
        display_quantity = coalesce(c.display_quantity, o.display_quantity),
        filled_quantity = o.filled_quantity + c.filled_quantity,
        notional = o.notional + c.notional,
        status = c.status,
        reason = coalesce(c.reason, o.reason),
        reason_limit = coalesce(c.reason_limit, o.reason_limit),
        updated_at = c.updated_at
    FROM json_to_recordset({rows}) AS c(
        order_id uuid, price bigint, quantity bigint, stop_price bigint, display_quantity bigint,
        filled_quantity bigint, notional numeric, status text, reason text, reason_limit bigint,
        updated_at timestamptz)
    WHERE o.order_id = c.order_id"""

# A request about one order names it; one about many is known of an order by its outcome. Nobody
# can tell from an outcome alone which of the two it answers.
_REQUESTS = """INSERT INTO {schema}.requests
    SELECT * FROM json_to_recordset({rows}) AS c(order_id uuid, request_id uuid)
    ON CONFLICT DO NOTHING"""

# Tables that a release before these columns has made. It looks first: to alter a table is to
# wait for all who read it.
_UPGRADE = """DO $$
    BEGIN
        IF NOT EXISTS (
            SELECT FROM information_schema.columns
            WHERE table_schema = {name} AND table_name = 'orders' AND column_name = 'post_only'
        ) THEN
            ALTER TABLE {schema}.orders
                ALTER COLUMN price DROP NOT NULL,
                ALTER COLUMN quantity DROP NOT NULL,
                ADD COLUMN reason_limit bigint,
                ADD COLUMN post_only boolean NOT NULL DEFAULT false,
                ADD COLUMN stop_price bigint,
                ADD COLUMN take_profit boolean NOT NULL DEFAULT false,
                ADD COLUMN display_quantity bigint,
                ADD COLUMN expires_at timestamptz,
                ADD COLUMN self_trade_prevention text NOT NULL DEFAULT 'NONE',
                ADD COLUMN quote_quantity bigint;
        END IF;
    END $$"""


class OrderViewRecorder(ViewRecorder):
    """No index holds a column that changes: updates stay within their page."""

    retired_tables = 3
    tables: ClassVar[tuple[str, ...]] = (
        """CREATE TABLE IF NOT EXISTS {schema}.orders (
            order_id uuid PRIMARY KEY,
            user_id text NOT NULL,
            asset text NOT NULL,
            side text NOT NULL,
            order_type text NOT NULL,
            time_in_force text NOT NULL,
            price bigint,
            quantity bigint,
            filled_quantity bigint NOT NULL,
            notional numeric NOT NULL,
            status text NOT NULL,
            reason text,
            reason_limit bigint,
            client_order_id text,
            post_only boolean NOT NULL,
            stop_price bigint,
            take_profit boolean NOT NULL,
            display_quantity bigint,
            expires_at timestamptz,
            self_trade_prevention text NOT NULL,
            quote_quantity bigint,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            position bigint NOT NULL
        ) WITH (fillfactor = 70)""",
        _UPGRADE,
        "CREATE UNIQUE INDEX IF NOT EXISTS orders_position ON {schema}.orders (position)",
        "CREATE INDEX IF NOT EXISTS orders_of_user ON {schema}.orders (user_id, position)",
        "CREATE INDEX IF NOT EXISTS orders_of_asset ON {schema}.orders (asset, position)",
        """CREATE TABLE IF NOT EXISTS {schema}.requests (
            order_id uuid,
            request_id uuid,
            PRIMARY KEY (order_id, request_id)
        )""",
    )

    steps: ClassVar[Mapping[str, str]] = {"changed": _UPDATE, "requests": _REQUESTS}
    inserts: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "orders": {
            "order_id": "uuid",
            "user_id": "text",
            "asset": "text",
            "side": "text",
            "order_type": "text",
            "time_in_force": "text",
            "price": "int8",
            "quantity": "int8",
            "filled_quantity": "int8",
            "notional": "numeric",
            "status": "text",
            "reason": "text",
            "reason_limit": "int8",
            "client_order_id": "text",
            "post_only": "bool",
            "stop_price": "int8",
            "take_profit": "bool",
            "display_quantity": "int8",
            "expires_at": "timestamptz",
            "self_trade_prevention": "text",
            "quote_quantity": "int8",
            "created_at": "timestamptz",
            "updated_at": "timestamptz",
            "position": "int8",
        },
    }

    def changes(self, entries: Sequence[Entry]) -> dict[str, Rows]:
        """An order of the batch is written once, as its last event in it leaves it."""
        placed: dict[int, dict[str, Any]] = {}  # by the id's integer: a UUID hashes in Python
        changed: dict[int, dict[str, Any]] = {}
        requests: dict[tuple[int, int], dict[str, Any]] = {}
        for position, event in entries:
            key = event.originator_id.int
            match event:
                case Order.Created():
                    placed[key] = _placed(event, position)
                case Order.RequestRefused():
                    pass
                case Order.Decided():
                    row = placed.get(key) or changed.get(key)
                    if row is None:
                        row = changed[key] = _unchanged(event.originator_id)
                    _decide(row, event)
                    if isinstance(event, Order.Cancelled) and event.request_id is not None:
                        _ask(requests, event.originator_id, event.request_id)
                case CancelRequest.Created() | ReplaceRequest.Created():
                    _ask(requests, event.order_id, event.originator_id)
        return {
            "changed": list(changed.values()),
            "requests": list(requests.values()),
            "orders": list(placed.values()),
        }

    def order(self, order_id: UUID) -> OrderRow | None:
        rows = self.query(
            self.sql("SELECT * FROM {schema}.orders WHERE order_id = %(order_id)s"),
            {"order_id": order_id},
        )
        return _row(rows[0]) if rows else None

    def orders(
        self,
        *,
        user_id: str | None = None,
        asset: str | None = None,
        status: str | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[OrderRow]:
        """Newest first; only those whose position is below ``before``."""
        wanted = {"user_id": user_id, "asset": asset, "status": status}
        conditions = [f"{column} = %({column})s" for column in wanted if wanted[column] is not None]
        if before is not None:
            conditions.append("position < %(before)s")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = f"""SELECT * FROM {{schema}}.orders {where}
            ORDER BY position DESC LIMIT %(limit)s"""  # noqa: S608 - column names of ours only
        rows = self.query(self.sql(statement), {**wanted, "before": before, "limit": limit})
        return [_row(row) for row in rows]

    def request_ids(self, order_id: UUID) -> list[UUID]:
        """What was asked about an order after it was placed."""
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


# Named once: a union of classes is made anew each time that it is asked for.
# Those that end an order, or may do so.
_WITH_REASON = (Order.Expired, Order.Rejected, Order.Cancelled, Order.Replaced, Order.Triggered)


def _placed(event: Order.Created, position: int) -> dict[str, Any]:
    """The row of a new order, its columns in their order: see OrderRow.of."""
    return {
        "order_id": event.originator_id,
        "user_id": event.user_id,
        "asset": event.asset,
        "side": event.side,
        "order_type": event.order_type,
        "time_in_force": event.time_in_force,
        "price": event.price,
        "quantity": event.quantity,
        "filled_quantity": 0,
        "notional": 0,
        "status": OrderStatus.PENDING,
        "reason": None,
        "reason_limit": None,
        "client_order_id": event.client_order_id,
        "post_only": event.post_only,
        "stop_price": event.stop_price,
        "take_profit": event.take_profit,
        "display_quantity": event.display_quantity,
        "expires_at": event.expires_at,
        "self_trade_prevention": event.self_trade_prevention,
        "quote_quantity": event.quote_quantity,
        "created_at": event.timestamp,
        "updated_at": event.timestamp,
        "position": position,
    }


def _unchanged(order_id: UUID) -> dict[str, Any]:
    """The change of a row that is there already, before the first event: see _UPDATE."""
    return {"order_id": order_id, "filled_quantity": 0, "notional": 0}


def _decide(row: dict[str, Any], event: Order.Decided) -> None:
    """Applies a decision to a new order's row, or to the change of one that is there."""
    row["status"] = event.status
    row["updated_at"] = event.timestamp
    if isinstance(event, Order.Traded):
        for fill in event.fills:
            row["filled_quantity"] += fill.quantity
            row["notional"] += fill.price * fill.quantity
        if event.quantity is not None:
            row["quantity"] = event.quantity
    if isinstance(event, Order.Replaced):
        for name in ("price", "stop_price", "display_quantity"):
            if (changed := getattr(event, name)) is not None:
                row[name] = changed
    if isinstance(event, _WITH_REASON):
        reason = getattr(event, "rejection", None) or event.reason
        if reason is not None:
            row["reason"], row["reason_limit"] = reason, getattr(event, "limit", None)


def _ask(requests: dict[tuple[int, int], dict[str, Any]], order_id: UUID, request_id: UUID) -> None:
    """Notes a request about an order, once."""
    requests[order_id.int, request_id.int] = {"order_id": order_id, "request_id": request_id}


def _row(row: dict[str, Any]) -> OrderRow:
    return OrderRow(**{**row, "notional": int(row["notional"])})
