"""The views of the raw pipeline: a batch of decisions becomes a few set-based statements."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

import psycopg

from benchmarks.raw_book import Change, Decision, Order
from benchmarks.raw_rows import array, copy, order_row, resting_row, trade_row
from benchmarks.raw_store import begin, move, start

_BATCH: Final = 10_000  # events in a transaction, about
_WITHIN: Final = 24  # bits of a priority that are for the places within a decision

_BEGIN: Final = "BEGIN; SET LOCAL synchronous_commit TO off"

_UPDATE_ORDERS: Final = """
    UPDATE order_view.orders AS o SET filled_quantity = n.filled, notional = n.notional,
        status = n.status, updated_at = n.updated
    FROM unnest(%s::uuid[], %s::bigint[], %s::numeric[], %s::text[], %s::timestamptz[])
        AS n (id, filled, notional, status, updated)
    WHERE o.order_id = n.id"""
_DELETE_RESTING: Final = "DELETE FROM book_view.resting_orders WHERE order_id = ANY(%s::uuid[])"
_UPDATE_RESTING: Final = """
    UPDATE book_view.resting_orders AS o SET remaining = n.remaining
    FROM unnest(%s::uuid[], %s::bigint[]) AS n (id, remaining) WHERE o.order_id = n.id"""
_UPSERT_LEVELS: Final = """
    INSERT INTO book_view.levels
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::numeric[], %s::bigint[])
    ON CONFLICT (asset, side, price) DO UPDATE
        SET quantity = excluded.quantity, orders = excluded.orders"""
_DELETE_LEVELS: Final = """
    DELETE FROM book_view.levels AS l USING unnest(%s::text[], %s::text[], %s::bigint[])
        AS n (asset, side, price)
    WHERE l.asset = n.asset AND l.side = n.side AND l.price = n.price"""
_UPSERT_BOOKS: Final = """
    INSERT INTO book_view.books SELECT * FROM unnest(%s::text[], %s::bigint[])
    ON CONFLICT (asset) DO UPDATE SET version = excluded.version"""

_OPPOSITE: Final = {"BUY": "SELL", "SELL": "BUY"}


# Asset, side and price to quantity and number of orders.
Levels = dict[tuple[str, str, int], list[int]]


class Piece(NamedTuple):
    """A part of a log without a gap, first position to last, and what is in it."""

    first: int
    last: int
    items: list[Any]


def follow_orders(cursor: psycopg.Cursor, queue: SimpleQueue[Piece]) -> None:
    """Is the order view. The pieces of Orders' log come from two, and have to be put in order."""
    table = "order_view.orderview_tracking"
    start(cursor, table, "Orders")
    position = 0
    waiting: dict[int, Piece] = {}
    while True:
        waiting |= {piece.first: piece for piece in _take(queue)}
        while position + 1 in waiting:
            placed: list[Order] = []
            changed: dict[Order, tuple[Change, Any]] = {}
            since, most = position, position + _BATCH
            while position < most and (piece := waiting.pop(position + 1, None)):
                for item in piece.items:
                    if isinstance(item, Order):
                        placed.append(item)
                    else:
                        changed[item[0].order] = item
                position = piece.last
            begin(cursor, _BEGIN, move(table, "Orders", since, position))
            if placed:
                copy(cursor, "order_view.orders", [_order_row(o, changed) for o in placed])
            _update_orders(cursor, changed.values())
            cursor.execute("COMMIT; NOTIFY orderview_tracking")


def _order_row(order: Order, changed: dict[Order, tuple[Change, Any]]) -> bytes:
    """The row of a new order, as the batch leaves it."""
    placed = order.placed
    status, filled, notional, updated = "PENDING", 0, 0, placed.timestamp
    if order in changed:
        change, updated = changed.pop(order)
        status, filled, notional = change.status, change.filled, change.notional
    return order_row(
        order.id,
        placed.user_id,
        placed.asset,
        placed.side,
        placed.price,
        placed.quantity,
        filled,
        notional,
        status,
        placed.timestamp,
        updated,
        order.position,
    )


def _update_orders(cursor: psycopg.Cursor, changed: Iterable[tuple[Change, Any]]) -> None:
    rows = [
        (change.order.text, change.filled, change.notional, change.status, time.isoformat())
        for change, time in changed
    ]
    if rows:
        cursor.execute(_UPDATE_ORDERS, _columns(rows))


def follow_matching(cursor: psycopg.Cursor, queue: SimpleQueue[Piece]) -> None:
    """Is the views of books and trades, which share a transaction."""
    books, trades = "book_view.bookview_tracking", "trade_view.tradeview_tracking"
    start(cursor, books, "Matching")
    start(cursor, trades, "Matching")
    levels: Levels = defaultdict(lambda: [0, 0])
    position = 0
    while True:
        pieces = _take(queue)
        since, position = position, pieces[-1].last
        begin(cursor, _BEGIN, move(books, "Matching", since, position))
        begin(cursor, move(trades, "Matching", since, position))
        batch = _Batch(levels)
        for piece in pieces:
            for place, decision in piece.items:
                batch.add(place, decision)
        batch.write(cursor)
        cursor.execute("COMMIT; NOTIFY bookview_tracking; NOTIFY tradeview_tracking")


class _Batch:
    """Return the changes by decisions, together, to the rows of books and trades."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels  # all that there are; kept from batch to batch
        self._touched: Levels = {}
        self._versions: dict[str, int] = {}
        self._trades: list[bytes] = []
        self._rested: dict[Order, tuple[int, int]] = {}  # remaining, priority
        self._remaining: dict[str, int] = {}
        self._gone: list[str] = []

    def add(self, position: int, decision: Decision) -> None:
        version, time, fills, changes = decision
        taker = changes[0]
        order, placed = taker.order, taker.order.placed
        asset, side = placed.asset, placed.side
        self._versions[asset] = version
        if taker.remaining:
            self._rested[order] = (taker.remaining, (version << _WITHIN) + 1)
            self._level(asset, side, placed.price, taker.remaining, 1)
        for fill, change in zip(fills, changes[1:], strict=True):
            maker, remaining = change.order, fill.maker_remaining
            self._trades.append(
                trade_row(
                    asset,
                    fill.trade_id,
                    fill.price,
                    fill.quantity,
                    maker.id,
                    order.id,
                    side,
                    time,
                    position,
                )
            )
            self._level(asset, _OPPOSITE[side], fill.price, -fill.quantity, 0 if remaining else -1)
            self._fill(maker, remaining)

    def write(self, cursor: psycopg.Cursor) -> None:
        if self._trades:
            copy(cursor, "trade_view.trades", self._trades)
        if self._gone:
            cursor.execute(_DELETE_RESTING, [array(self._gone)])
        if self._remaining:
            columns = (self._remaining, self._remaining.values())
            cursor.execute(_UPDATE_RESTING, [array(column) for column in columns])
        if self._rested:
            resting = [_resting_row(order, *place) for order, place in self._rested.items()]
            copy(cursor, "book_view.resting_orders", resting)
        empty = [level for level, (_, orders) in self._touched.items() if not orders]
        for level in empty:
            del self._levels[level], self._touched[level]
        if self._touched:
            rows = [(*level, *total) for level, total in self._touched.items()]
            cursor.execute(_UPSERT_LEVELS, _columns(rows))
        if empty:
            cursor.execute(_DELETE_LEVELS, _columns(empty))
        cursor.execute(_UPSERT_BOOKS, _columns(self._versions.items()))

    def _level(self, asset: str, side: str, price: int, quantity: int, orders: int) -> None:
        level = (asset, side, price)
        self._touched[level] = total = self._levels[level]
        total[0] += quantity
        total[1] += orders

    def _fill(self, maker: Order, remaining: int) -> None:
        if maker in self._rested:
            if remaining:
                self._rested[maker] = (remaining, self._rested[maker][1])
            else:
                del self._rested[maker]
        elif remaining:
            self._remaining[maker.text] = remaining
        else:
            self._remaining.pop(maker.text, None)
            self._gone.append(maker.text)


def _resting_row(order: Order, remaining: int, priority: int) -> bytes:
    placed = order.placed
    return resting_row(order.id, placed.asset, placed.side, placed.price, remaining, priority)


def _columns(rows: Iterable[Sequence[object]]) -> list[str]:
    return [array(column) for column in zip(*rows, strict=True)]


def _take(queue: SimpleQueue[Piece]) -> list[Piece]:
    """All that waits, at least one."""
    return [queue.get(), *_rest(queue)]


def _rest(queue: SimpleQueue[Piece]) -> Iterator[Piece]:
    try:
        while True:
            yield queue.get_nowait()
    except Empty:
        return
