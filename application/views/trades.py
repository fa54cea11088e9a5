"""The trades of all assets. Follows Matching."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple, Self
from uuid import UUID

from application.persistence.log import Entry
from application.views.view import Rows, View, ViewRecorder
from domain.order_book import OrderBook
from domain.outcomes import arrivals


class TradeRow(NamedTuple):
    """A trade, at the maker's price; amounts in units.

    ``position`` is the place of its command's decision in the log of Matching: newer is
    larger, and the trades of one decision share it, in the order of their numbers.
    """

    asset: str
    trade_id: int
    price: int
    quantity: int
    maker_order_id: UUID
    taker_order_id: UUID
    taker_side: str
    executed_at: datetime
    position: int

    @classmethod
    def of(cls, event: object, position: int) -> list[Self]:
        """The trades of a decision of a book, if it has any; of all orders that it set off."""
        if not isinstance(event, OrderBook.Decided):
            return []
        return [
            cls(
                asset=event.asset,
                trade_id=fill.trade_id,
                price=fill.price,
                quantity=fill.quantity,
                maker_order_id=fill.maker_order_id,
                taker_order_id=taker.order_id,
                taker_side=taker.side,
                executed_at=event.timestamp,
                position=position,
            )
            for taker in arrivals(event)
            for fill in taker.fills
        ]


class TradeViewRecorder(ViewRecorder):
    """Each index answers a query, and costs a seventh of what a trade costs PostgreSQL."""

    retired_tables = 1
    tables: ClassVar[tuple[str, ...]] = (
        """CREATE TABLE IF NOT EXISTS {schema}.trades (
            asset text NOT NULL,
            trade_id bigint NOT NULL,
            price bigint NOT NULL,
            quantity bigint NOT NULL,
            maker_order_id uuid NOT NULL,
            taker_order_id uuid NOT NULL,
            taker_side text NOT NULL,
            executed_at timestamptz NOT NULL,
            position bigint NOT NULL,
            PRIMARY KEY (position, trade_id)
        )""",
        """CREATE INDEX IF NOT EXISTS trades_of_asset
            ON {schema}.trades (asset, position, trade_id)""",
        "CREATE INDEX IF NOT EXISTS trades_of_maker ON {schema}.trades (maker_order_id)",
        "CREATE INDEX IF NOT EXISTS trades_of_taker ON {schema}.trades (taker_order_id)",
    )

    inserts: ClassVar[tuple[str, ...]] = ("trades",)

    def changes(self, entries: Sequence[Entry]) -> dict[str, Rows]:
        return {
            "trades": [
                trade._asdict()
                for position, event in entries
                for trade in TradeRow.of(event, position)
            ]
        }

    def trades(
        self,
        *,
        asset: str | None = None,
        order_id: UUID | None = None,
        before: tuple[int, int] | None = None,
        limit: int,
    ) -> list[TradeRow]:
        """Newest first; only those whose (position, trade id) is below ``before``."""
        source, conditions = "{schema}.trades", []
        if asset is not None:
            conditions.append("asset = %(asset)s")
        if order_id is not None:
            # By itself, so that it is looked up: a planner without statistics expects to meet
            # the order's trades soon, and reads all trades from the newest on.
            source = _OF_ORDER
        if before is not None:
            conditions.append("(position, trade_id) < (%(position)s, %(trade_id)s)")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = f"""SELECT * FROM {source} {where}
            ORDER BY position DESC, trade_id DESC LIMIT %(limit)s"""  # noqa: S608 - conditions of ours only
        position, trade_id = before or (None, None)
        rows = self.query_in_order(
            self.sql(statement),
            {
                "asset": asset,
                "order_id": order_id,
                "position": position,
                "trade_id": trade_id,
                "limit": limit,
            },
        )
        return [TradeRow(**row) for row in rows]


class TradeView(View):
    """The read model behind GET /trades."""

    name = "TradeView"
    env: ClassVar[dict[str, str]] = {"POSTGRES_SCHEMA": "trade_view"}
    recorder: TradeViewRecorder
    recorder_class = TradeViewRecorder


_OF_ORDER = """(
    WITH found AS MATERIALIZED (
        SELECT * FROM {schema}.trades
        WHERE maker_order_id = %(order_id)s OR taker_order_id = %(order_id)s)
    SELECT * FROM found) AS trades_of_order"""
