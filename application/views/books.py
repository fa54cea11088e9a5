"""The books as they stand: their levels, and their resting orders. Follows Matching.

They show what anybody may see: of an iceberg its slice, of a stop that waits nothing. The
rows have the expiry of every order that rests or waits.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
from uuid import UUID

from application.persistence.connection import living_connection, long_read
from application.persistence.log import Entry
from application.views.book_changes import BookChanges
from application.views.instruments import InstrumentRecorder
from application.views.view import Rows, View
from domain.order_book import OrderBook
from domain.values import Side


class LevelRow(NamedTuple):
    """All that is shown at one price; amounts in units."""

    price: int
    quantity: int
    orders: int


class RestingRow(NamedTuple):
    """One resting order, with what it shows of what remains; amounts in units."""

    order_id: UUID
    price: int
    quantity: int


Row = TypeVar("Row", LevelRow, RestingRow)


class BookRows(NamedTuple, Generic[Row]):
    """A book at a version, both sides best first; at one price, earliest first."""

    version: int
    bids: list[Row]
    asks: list[Row]


_DELETE = """WITH
    gone AS (SELECT * FROM json_to_recordset({rows}) AS c(order_id uuid)),
    ended AS (DELETE FROM {schema}.expiring e USING gone WHERE e.order_id = gone.order_id)
    DELETE FROM {schema}.resting_orders o USING gone WHERE o.order_id = gone.order_id"""

# Changes are added: of an iceberg's trade nobody knows what was shown before.
_UPDATE = """UPDATE {schema}.resting_orders o
    SET remaining = o.remaining + c.change, priority = coalesce(c.priority, o.priority)
    FROM json_to_recordset({rows}) AS c(order_id uuid, change bigint, priority bigint)
    WHERE o.order_id = c.order_id"""

_MERGE = """MERGE INTO {schema}.levels l
    USING json_to_recordset({rows})
        AS c(asset text, side text, price bigint, quantity numeric, orders bigint)
    ON l.asset = c.asset AND l.side = c.side AND l.price = c.price
    WHEN MATCHED AND l.orders + c.orders = 0 THEN DELETE
    WHEN MATCHED THEN UPDATE
        SET quantity = l.quantity + c.quantity, orders = l.orders + c.orders
    WHEN NOT MATCHED THEN INSERT VALUES (c.asset, c.side, c.price, c.quantity, c.orders)"""

_VERSIONS = """INSERT INTO {schema}.books
    SELECT * FROM json_to_recordset({rows}) AS c(asset text, version bigint)
    ON CONFLICT (asset) DO UPDATE SET version = excluded.version"""


class BookViewRecorder(InstrumentRecorder):
    retired_tables = 8
    tables: ClassVar[tuple[str, ...]] = (
        *InstrumentRecorder.tables,
        """CREATE TABLE IF NOT EXISTS {schema}.books (
            asset text PRIMARY KEY,
            version bigint NOT NULL
        ) WITH (fillfactor = 70)""",
        """CREATE TABLE IF NOT EXISTS {schema}.levels (
            asset text NOT NULL,
            side text NOT NULL,
            price bigint NOT NULL,
            quantity numeric NOT NULL,
            orders bigint NOT NULL,
            PRIMARY KEY (asset, side, price)
        ) WITH (fillfactor = 70)""",
        """CREATE TABLE IF NOT EXISTS {schema}.resting_orders (
            order_id uuid PRIMARY KEY,
            asset text NOT NULL,
            side text NOT NULL,
            price bigint NOT NULL,
            remaining bigint NOT NULL,
            priority bigint NOT NULL
        ) WITH (fillfactor = 70)""",
        """CREATE INDEX IF NOT EXISTS resting_orders_in_priority
            ON {schema}.resting_orders (asset, side, price, priority)""",
        """CREATE TABLE IF NOT EXISTS {schema}.expiring (
            asset text NOT NULL,
            order_id uuid PRIMARY KEY,
            expires_at timestamptz NOT NULL
        )""",
        "CREATE INDEX IF NOT EXISTS expiring_in_time ON {schema}.expiring (expires_at)",
    )

    # An order that left and came again is first deleted, then inserted.
    steps: ClassVar[Mapping[str, str]] = {
        **InstrumentRecorder.steps,
        "gone": _DELETE,
        "shown": _UPDATE,
        "levels": _MERGE,
        "versions": _VERSIONS,
    }
    inserts: ClassVar[tuple[str, ...]] = (
        *InstrumentRecorder.inserts,
        "resting_orders",
        "expiring",
    )

    def changes(self, entries: Sequence[Entry]) -> dict[str, Rows]:
        changes = BookChanges()
        for _, event in entries:
            changes.apply(event)
        return {
            **super().changes(entries),
            "gone": [{"order_id": order_id} for order_id in changes.gone],
            "shown": list(changes.shown.values()),
            "levels": [
                {"asset": asset, "side": side, "price": price, "quantity": q, "orders": n}
                for (asset, side, price), (q, n) in changes.levels.items()
                if q or n
            ],
            "versions": [
                {"asset": asset, "version": version} for asset, version in changes.versions.items()
            ],
            "resting_orders": list(changes.rested.values()),
            "expiring": list(changes.expiring.values()),
        }

    def levels(self, asset: str, depth: int) -> BookRows[LevelRow]:
        """The best ``depth`` levels of each side."""
        version, bids, asks = self._read(_LEVELS, asset, depth)
        return BookRows(version, [_level(row) for row in bids], [_level(row) for row in asks])

    def resting(self, asset: str, depth: int | None) -> BookRows[RestingRow]:
        """Every resting order, or those of the best ``depth`` levels of each side."""
        with long_read(self.datastore):
            version, bids, asks = self._read(_RESTING, asset, depth)
        orders = ([RestingRow(**row) for row in side] for side in (bids, asks))
        return BookRows(version, *orders)

    def due_assets(self, now: datetime) -> dict[str, datetime]:
        """The assets with orders whose time is over, each with the latest of these times."""
        rows = self.query(
            self.sql(
                "SELECT asset, max(expires_at) AS latest FROM {schema}.expiring"
                " WHERE expires_at <= %(now)s GROUP BY asset"
            ),
            {"now": now},
        )
        return {row["asset"]: row["latest"] for row in rows}

    def _read(
        self, statement: str, asset: str, depth: int | None
    ) -> tuple[int, list[Any], list[Any]]:
        """The version and both sides, as of one moment."""
        with living_connection(self.datastore) as connection, connection.transaction():
            connection.execute(_ONE_MOMENT)
            book = connection.execute(
                self.sql("SELECT version FROM {schema}.books WHERE asset = %s"), [asset]
            ).fetchone()
            if book is None:
                return 0, [], []
            bids, asks = (
                connection.execute(
                    self.sql(statement.replace("{direction}", direction)),
                    {"asset": asset, "side": side, "depth": depth},
                    prepare=False,  # as in query()
                ).fetchall()
                for side, direction in ((Side.BUY, "DESC"), (Side.SELL, "ASC"))
            )
            return book["version"], bids, asks


class BookView(View):
    """The read model behind GET /books."""

    name = "BookView"
    env: ClassVar[dict[str, str]] = {"POSTGRES_SCHEMA": "book_view"}
    recorder: BookViewRecorder
    recorder_class = BookViewRecorder


def resting_of(book: OrderBook, depth: int | None) -> BookRows[RestingRow]:
    """The rows that the view holds of a book that is at hand."""
    bids, asks = (
        [
            RestingRow(order.order_id, order.price, order.shown)  # type: ignore[arg-type]  # it rests
            for index, (_, orders) in enumerate(groupby(book.book.walk(side), lambda o: o.price))
            if depth is None or index < depth
            for order in orders
        ]
        for side in (Side.BUY, Side.SELL)
    )
    return BookRows(book.version, bids, asks)


def levels_of(book: OrderBook, depth: int | None) -> BookRows[LevelRow]:
    """The levels that the view holds of a book that is at hand."""
    resting = resting_of(book, depth)
    return BookRows(book.version, _levels(resting.bids), _levels(resting.asks))


def _levels(rows: list[RestingRow]) -> list[LevelRow]:
    levels = []
    for price, orders in groupby(rows, lambda row: row.price):
        quantities = [order.quantity for order in orders]
        levels.append(LevelRow(price, sum(quantities), len(quantities)))
    return levels


_LEVELS = """SELECT price, quantity, orders FROM {schema}.levels
    WHERE asset = %(asset)s AND side = %(side)s ORDER BY price {direction} LIMIT %(depth)s"""

_RESTING = """SELECT order_id, price, remaining AS quantity FROM {schema}.resting_orders
    WHERE asset = %(asset)s AND side = %(side)s AND price IN (
        SELECT price FROM {schema}.levels
        WHERE asset = %(asset)s AND side = %(side)s ORDER BY price {direction} LIMIT %(depth)s)
    ORDER BY price {direction}, priority"""

# The best levels are those that an index gives first; without statistics, to sort all of them
# looks cheaper.
_ONE_MOMENT = """SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL enable_sort TO off"""


def _level(row: dict[str, Any]) -> LevelRow:
    return LevelRow(row["price"], int(row["quantity"]), row["orders"])
