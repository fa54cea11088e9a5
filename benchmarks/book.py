"""The workload of the order book in memory: what to do, and doing it. Measuring is elsewhere.

An operation is what the engine does with one command: decide by looking at the book, then
apply. Everything that comes from outside (ids, amounts, the order of the operations) is made
beforehand; what the book makes itself (resting orders, queues, levels) is made by ``run``.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from random import Random
from uuid import UUID

from domain.book import Book, RestingOrder
from domain.sweep import Sweep, Taker
from domain.values import UNITS_PER_ONE, Side

MIDDLE = 45_000 * UNITS_PER_ONE
TICK = UNITS_PER_ONE // 100
LOT = UNITS_PER_ONE // 1_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A limit order; what it can't trade at once rests where it ``stays``, or else expires."""

    order_id: UUID
    user_id: str
    side: Side
    price: int
    quantity: int
    stays: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    order_id: UUID


Operation = Arrival | Cancel


def operations(count: int = 100_000, seed: int = 1) -> list[Operation]:
    """Of ``count``, 60 % rest, 30 % cancel one that rests, 10 % trade with one to four makers.

    Resting orders stand up to 400 ticks from the middle, more of them near to it. One in two
    of those that trade stays with a rest, where it has one; the other is immediate or cancel.
    """
    random = Random(seed)
    book = Book()  # knows at each moment what rests
    resting: list[UUID] = []  # some of which have traded since
    flow: list[Operation] = []
    while len(flow) < count:
        kind = random.random()
        operation: Operation | None
        if kind < 0.6:
            operation = _passive(random)
        elif kind < 0.9:
            operation = _cancel(random, book, resting)
        else:
            operation = _marketable(random, book)
        if operation is not None:  # there was something to cancel, or to trade with
            run([operation], book)
            if operation.order_id in book.orders:
                resting.append(operation.order_id)
            flow.append(operation)
    return flow


def run(operations: Iterable[Operation], book: Book | None = None) -> Book:
    """Decide and apply one operation after the other, on an empty book unless one is given."""
    book = book or Book()
    for operation in operations:
        if isinstance(operation, Cancel):
            book.remove(operation.order_id)
            continue
        left = operation.quantity
        if book.would_take(operation.side, operation.price):  # as domain.arriving has it
            taker = Taker(operation.user_id, operation.side, operation.price, left)
            sweep = Sweep(book, taker, last_trade_id=0)
            for fill in sweep.fills:
                book.fill(fill.maker_order_id, fill.quantity)
            left = sweep.left
        if left and operation.stays:
            book.rest(
                RestingOrder(
                    operation.order_id,
                    operation.user_id,
                    operation.side,
                    operation.price,
                    operation.quantity,
                    left,
                )
            )
    return book


def rest_orders(count: int, levels: int, seed: int = 1) -> Book:
    """A book of ``count`` resting orders, evenly on ``levels`` prices; one user per ten orders.

    Bids are on the lower half of the prices, asks on the upper one. Nothing that an order
    holds is shared with another, the user's id excepted: so it is with orders read from a log.
    """
    random = Random(seed)
    places = array("l", range(levels))  # not a list: its ints would leave holes in the memory
    random.shuffle(places)
    book = Book()
    for number in range(count):
        place = places[number % levels] - levels // 2
        if number % 10 == 0:
            user_id = f"trader-{number // 10:06d}"
        quantity = random.randint(1, 5_000)
        book.rest(
            RestingOrder(
                _order_id(random),
                user_id,
                Side.BUY if place < 0 else Side.SELL,
                MIDDLE + place * TICK,
                quantity * LOT,
                quantity * LOT,
            )
        )
    return book


def _passive(random: Random) -> Arrival:
    side = random.choice(list(Side))
    away = 1 + min(int(random.expovariate(1 / 80)), 399)
    price = MIDDLE - away * TICK if side is Side.BUY else MIDDLE + away * TICK
    return _arrival(random, side, price, random.randint(1, 5_000) * LOT, stays=True)


def _cancel(random: Random, book: Book, resting: list[UUID]) -> Cancel | None:
    while resting:
        index = random.randrange(len(resting))
        resting[index], resting[-1] = resting[-1], resting[index]
        order_id = resting.pop()
        if order_id in book.orders:
            # A UUID of its own, as a request has: finding the order then compares the two.
            return Cancel(UUID(int=order_id.int))
    return None


def _marketable(random: Random, book: Book) -> Arrival | None:
    side = random.choice(list(Side))
    makers = list(islice(book.walk(side.opposite), random.randint(1, 4)))
    if not makers:
        return None
    whole = sum(maker.remaining for maker in makers)
    quantity = whole - random.randrange(makers[-1].remaining // LOT) * LOT
    price: int = makers[-1].price  # type: ignore[assignment]  # it rests
    return _arrival(random, side, price, quantity, stays=random.random() < 0.5)


def _arrival(random: Random, side: Side, price: int, quantity: int, *, stays: bool) -> Arrival:
    user_id = f"trader-{random.randrange(10_000):06d}"
    return Arrival(_order_id(random), user_id, side, price, quantity, stays)


def _order_id(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)
