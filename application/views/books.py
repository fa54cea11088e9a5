"""The books as they stand: their levels, and their resting orders. Follows Matching."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
from uuid import UUID

from application.persistence.connection import living_connection
from application.persistence.log import Entry
from application.views.view import Rows, View, ViewRecorder
from domain.order_book import Fill, OrderBook
from domain.values import Side


class LevelRow(NamedTuple):
    """All that rests at one price; amounts in units."""

    price: int
    quantity: int
    orders: int


class RestingRow(NamedTuple):
    """One resting order, with what remains of it; amounts in units."""

    order_id: UUID
    price: int
    quantity: int


Row = TypeVar("Row", LevelRow, RestingRow)


class BookRows(NamedTuple, Generic[Row]):
    """A book at a version, both sides best first; at one price, earliest first."""

    version: int
    bids: list[Row]
    asks: list[Row]


_DELETE = """DELETE FROM {schema}.resting_orders o
    USING json_to_recordset({rows}) AS c(order_id uuid) WHERE o.order_id = c.order_id"""

_UPDATE = """UPDATE {schema}.resting_orders o SET remaining = c.remaining
    FROM json_to_recordset({rows}) AS c(order_id uuid, remaining bigint)
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


class BookViewRecorder(ViewRecorder):
    tables: ClassVar[tuple[str, ...]] = (
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
    )

    # An order that left and came again is first deleted, then inserted.
    steps: ClassVar[Mapping[str, str]] = {
        "gone": _DELETE,
        "remaining": _UPDATE,
        "levels": _MERGE,
        "versions": _VERSIONS,
    }
    inserts: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "resting_orders": {
            "order_id": "uuid",
            "asset": "text",
            "side": "text",
            "price": "int8",
            "remaining": "int8",
            "priority": "int8",
        },
    }

    def changes(self, entries: Sequence[Entry]) -> dict[str, Rows]:
        changes = _Changes()
        for _, event in entries:
            changes.apply(event)
        return {
            "gone": [{"order_id": order_id} for order_id in changes.gone],
            "remaining": [
                {"order_id": order_id, "remaining": remaining}
                for order_id, remaining in changes.remaining.items()
            ],
            "levels": [
                {"asset": asset, "side": side, "price": price, "quantity": q, "orders": n}
                for (asset, side, price), (q, n) in changes.levels.items()
                if q or n
            ],
            "versions": [
                {"asset": asset, "version": version} for asset, version in changes.versions.items()
            ],
            "resting_orders": list(changes.rested.values()),
        }

    def levels(self, asset: str, depth: int) -> BookRows[LevelRow]:
        """The best ``depth`` levels of each side."""
        version, bids, asks = self._read(_LEVELS, asset, depth)
        return BookRows(version, [_level(row) for row in bids], [_level(row) for row in asks])

    def resting(self, asset: str, depth: int | None) -> BookRows[RestingRow]:
        """Every resting order, or those of the best ``depth`` levels of each side."""
        version, bids, asks = self._read(_RESTING, asset, depth)
        orders = ([RestingRow(**row) for row in side] for side in (bids, asks))
        return BookRows(version, *orders)

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
            RestingRow(order.order_id, order.price, order.remaining)
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


class _Changes:
    """What a batch of book events, together, does to the rows."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.gone: set[UUID] = set()
        self.remaining: dict[UUID, int] = {}
        self.rested: dict[UUID, dict[str, Any]] = {}
        # (asset, side, price) -> change of quantity, change of the number of orders
        self.levels: dict[tuple[str, Side, int], list[int]] = defaultdict(lambda: [0, 0])

    def apply(self, event: object) -> None:
        match event:
            case OrderBook.Matched():
                self._trade(event, event.fills)
                self._rest(event)
            case OrderBook.Replaced():
                self._leave(event, event.previous_price, event.previous_remaining)
                self._trade(event, event.fills)
                self._rest(event)
            case OrderBook.Cancelled():
                self._leave(event, event.price, event.remaining)
            case OrderBook.Reduced():
                change = event.remaining - event.previous_remaining
                self._level(event.asset, event.side, event.price, change)
                self._remain(event.order_id, event.remaining)
        match event:
            case OrderBook.Created() | OrderBook.Decided():
                self.versions[event.asset] = event.originator_version

    def _rest(self, event: OrderBook.Matched | OrderBook.Replaced) -> None:
        if event.rested:
            self.rested[event.order_id] = {
                "order_id": event.order_id,
                "asset": event.asset,
                "side": event.side,
                "price": event.price,
                "remaining": event.rested,
                "priority": event.originator_version,  # it grows with every command
            }
            self._level(event.asset, event.side, event.price, event.rested, 1)

    def _leave(
        self, event: OrderBook.Cancelled | OrderBook.Replaced, price: int, remaining: int
    ) -> None:
        self._drop(event.order_id)
        self._level(event.asset, event.side, price, -remaining, -1)

    def _trade(self, event: OrderBook.Matched | OrderBook.Replaced, fills: Sequence[Fill]) -> None:
        for fill in fills:
            is_done = fill.maker_remaining == 0
            self._level(
                event.asset, event.side.opposite, fill.price, -fill.quantity, -1 if is_done else 0
            )
            if is_done:
                self._drop(fill.maker_order_id)
            else:
                self._remain(fill.maker_order_id, fill.maker_remaining)

    def _remain(self, order_id: UUID, remaining: int) -> None:
        if order_id in self.rested:
            self.rested[order_id]["remaining"] = remaining
        else:
            self.remaining[order_id] = remaining

    def _drop(self, order_id: UUID) -> None:
        if self.rested.pop(order_id, None) is None:  # it is in the table, or was
            self.remaining.pop(order_id, None)
            self.gone.add(order_id)

    def _level(self, asset: str, side: Side, price: int, quantity: int, orders: int = 0) -> None:
        change = self.levels[asset, side, price]
        change[0] += quantity
        change[1] += orders


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
