"""Real NASDAQ order flow through Orders and Matching gives the fills that NASDAQ gave."""

from itertools import groupby
from uuid import UUID, uuid4

from domain.order_book import OrderBook
from domain.values import Side, TimeInForce
from tests.application.conftest import Core
from tests.real_flow import (
    ExpectedFill,
    LobsterLevel,
    LobsterRow,
    lobster_final,
    lobster_rows,
    lobster_steps,
    needs_real_flow,
)

pytestmark = needs_real_flow


def top(core: Core, depth: int) -> LobsterRow:
    book: OrderBook = core.matching.repository.get(book_of(core))
    sides = []
    for side in (Side.BUY, Side.SELL):
        levels = [
            LobsterLevel(price, sum(order.remaining for order in orders))
            for price, orders in groupby(book.book.walk(side), key=lambda order: order.price)
        ]
        sides.append(levels[:depth])
    return LobsterRow(*sides)


def book_of(core: Core) -> UUID:
    [opened] = core.matching.recorder.select_notifications(1, 1)
    book_id = opened.originator_id
    assert isinstance(book_id, UUID)
    return book_id


def test_the_market_fills_every_taker_of_the_real_flow_as_nasdaq_did(core: Core) -> None:
    rows = lobster_rows()
    ids: dict[str, UUID] = {}
    takers: dict[str, tuple[ExpectedFill, ...]] = {}
    compared = set()
    for command, row in lobster_steps():
        if command.op == "cancel":
            core.orders.cancel(ids[command.order], uuid4(), core.tick())
        else:
            ids[command.order] = core.place(
                Side(command.side),
                command.price,
                command.quantity,
                time_in_force=TimeInForce(command.time_in_force),
            )
            if command.expect_fills:
                takers[command.order] = command.expect_fills
        if row is not None:
            assert top(core, 10) == rows[row], f"after row {row}"
            compared.add(row)

    names = {order_id: name for name, order_id in ids.items()}
    decisions = [
        event
        for event in core.matching.events.get(book_of(core))
        if isinstance(event, OrderBook.Matched) and event.fills
    ]
    fills = {
        names[event.order_id]: tuple(
            ExpectedFill(names[fill.maker_order_id], fill.price, fill.quantity)
            for fill in event.fills
        )
        for event in decisions
    }
    assert fills == takers
    assert (len(takers), sum(map(len, fills.values())), len(compared)) == (60, 94, 903)

    final = lobster_final()
    book: OrderBook = core.matching.repository.get(book_of(core))
    assert len(book.book.orders) == final.open_orders
    for name, order_id in ids.items():
        order = core.order(order_id)
        if order_id in book.book.orders:
            assert order.quantity is not None
            assert order.quantity - order.filled_quantity == book.book.orders[order_id].remaining
        else:
            assert order.status.is_terminal, name
