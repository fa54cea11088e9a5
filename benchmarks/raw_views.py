"""The views of the raw pipeline: a batch of decisions becomes a few set-based statements."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

import psycopg

from benchmarks.raw_book import Change, Decision, Order
from benchmarks.raw_rows import array, copy, order_row, resting_row, trade_row

_BATCH: Final = 10_000  # events in a transaction, about

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


class Piece(NamedTuple):
    """A part of a log without a gap, first position to last, and what is in it."""

    first: int
    last: int
    items: list[Any]


class PositionMoved(Exception):
    """Somebody else follows here."""


def move(table: str, leader: str, since: int, to: int) -> str:
    """The compare-and-set of a position; it has to be the last of the statements it is with."""
    return (
        f"UPDATE {table} SET notification_id = {to}"
        f" WHERE application_name = '{leader}' AND notification_id = {since}"
    )


def begin(cursor: psycopg.Cursor, *statements: str) -> None:
    """Begins with a move; raises PositionMoved."""
    cursor.execute("; ".join(statements))
    while cursor.nextset():
        pass
    if cursor.rowcount != 1:
        raise PositionMoved(statements[-1])


def start(cursor: psycopg.Cursor, table: str, leader: str) -> None:
    """Takes the first position; raises UniqueViolation where the database is not fresh."""
    cursor.execute(f"INSERT INTO {table} VALUES ('{leader}', 0)")
    # Without statistics the planner takes the whole table rather than a thousand keys.
    cursor.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")


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
    columns = list(
        zip(
            *(
                (change.order.text, change.filled, change.notional, change.status, time.isoformat())
                for change, time in changed
            ),
            strict=True,
        )
    )
    if columns:
        cursor.execute(_UPDATE_ORDERS, [array(column) for column in columns])


def follow_matching(cursor: psycopg.Cursor, queue: SimpleQueue[Piece]) -> None:
    """Is the views of books and trades, which share a transaction."""
    books, trades = "book_view.bookview_tracking", "trade_view.tradeview_tracking"
    start(cursor, books, "Matching")
    start(cursor, trades, "Matching")
    levels: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0])
    position = 0
    for pieces in iter(lambda: _take(queue), []):
        since, position = position, pieces[-1].last
        begin(cursor, _BEGIN, move(books, "Matching", since, position))
        begin(cursor, move(trades, "Matching", since, position))
        _write(cursor, [item for piece in pieces for item in piece.items], levels)
        cursor.execute("COMMIT; NOTIFY bookview_tracking; NOTIFY tradeview_tracking")


def _write(
    cursor: psycopg.Cursor,
    decisions: list[tuple[int, Decision]],
    levels: dict[tuple[str, str, int], list[int]],
) -> None:
    """``levels`` holds quantity and number of orders at each price, and is kept."""
    trades: list[bytes] = []
    versions: dict[str, int] = {}
    rested: dict[Order, tuple[int, int]] = {}  # remaining, priority
    remaining: dict[str, int] = {}
    gone: list[str] = []
    touched: dict[tuple[str, str, int], list[int]] = {}
    for position, (version, time, fills, changes) in decisions:
        taker = changes[0]
        order, placed = taker.order, taker.order.placed
        asset, side = placed.asset, placed.side
        versions[asset] = version
        if taker.remaining:
            rested[order] = (taker.remaining, version)
            level = (asset, side, placed.price)
            touched[level] = total = levels[level]
            total[0] += taker.remaining
            total[1] += 1
        for number, fill in enumerate(fills, start=1):
            maker = changes[number].order
            trades.append(
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
            level = (asset, _OPPOSITE[side], fill.price)
            touched[level] = total = levels[level]
            total[0] -= fill.quantity
            if fill.maker_remaining:
                if maker in rested:
                    rested[maker] = (fill.maker_remaining, rested[maker][1])
                else:
                    remaining[maker.text] = fill.maker_remaining
            else:
                total[1] -= 1
                if rested.pop(maker, None) is None:
                    remaining.pop(maker.text, None)
                    gone.append(maker.text)
    if trades:
        copy(cursor, "trade_view.trades", trades)
    if gone:
        cursor.execute(_DELETE_RESTING, [array(gone)])
    if remaining:
        cursor.execute(_UPDATE_RESTING, [array(remaining), array(remaining.values())])
    if rested:
        copy(
            cursor,
            "book_view.resting_orders",
            [
                resting_row(order.id, placed.asset, placed.side, placed.price, *place)
                for order, place in rested.items()
                for placed in (order.placed,)
            ],
        )
    _write_levels(cursor, touched, levels)
    cursor.execute(_UPSERT_BOOKS, [array(versions), array(versions.values())])


def _write_levels(
    cursor: psycopg.Cursor,
    touched: dict[tuple[str, str, int], list[int]],
    levels: dict[tuple[str, str, int], list[int]],
) -> None:
    empty = [level for level, (_, orders) in touched.items() if not orders]
    for level in empty:
        del levels[level], touched[level]
    if touched:
        columns = zip(*((*level, *total) for level, total in touched.items()), strict=True)
        cursor.execute(_UPSERT_LEVELS, [array(column) for column in columns])
    if empty:
        cursor.execute(_DELETE_LEVELS, [array(column) for column in zip(*empty, strict=True)])


def _take(queue: SimpleQueue[Piece]) -> list[Piece]:
    """All that waits, at least one."""
    return [queue.get(), *_rest(queue)]


def _rest(queue: SimpleQueue[Piece]) -> Iterator[Piece]:
    try:
        while True:
            yield queue.get_nowait()
    except Empty:
        return
