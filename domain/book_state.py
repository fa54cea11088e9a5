"""The state of a book as columns, for snapshots: little to write, and quick to read back.

A million resting orders are a few lists of integers and one of ids; the users' names and
the prices stand there once, and what only some orders have stands beside these.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from operator import attrgetter
from uuid import UUID

from domain.book import RestingOrder
from domain.facts import Left
from domain.floor import Floor
from domain.instrument import Instrument
from domain.queue import InTurn
from domain.values import Conditions, Side, Turn


@dataclass(slots=True)
class Queues:
    """The orders of one side, all columns in priority order."""

    prices: list[int]  # of the levels, the best first
    lengths: list[int]  # how many orders rest at each
    order_ids: list[UUID]
    users: list[int]  # places in BookState.users
    quantities: list[int]
    filled: list[int]
    # By the order's place; orders that are not there have none.
    conditions: dict[int, Conditions] = field(default_factory=dict)
    hidden: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Waiting:
    """A stop; nothing of it was filled."""

    order_id: UUID
    user: int
    side: Side
    price: int | None
    quantity: int
    conditions: Conditions


@dataclass(slots=True)
class Waiter:
    """An order in the queue; see InTurn."""

    order_id: UUID
    user: int
    side: Side
    price: int | None
    quantity: int
    remaining: int
    conditions: Conditions | None
    turn: Turn
    limit: int | None
    quote_quantity: int | None
    spent: str  # a number that may be larger than JSON's


@dataclass(slots=True)
class BookState:
    """All that decides the future of an order book, but for its id, its version and its time."""

    asset: str
    created_on: datetime
    position: int
    last_trade_id: int
    users: list[str]
    bids: Queues
    asks: Queues
    stops: list[Waiting] = field(default_factory=list)
    last_price: int | None = None
    instrument: Instrument | None = None
    # The ids of orders with one end, in the order in which they expire.
    expiring: list[UUID] = field(default_factory=list)
    # The orders whose turns later events hold.
    queue: list[Waiter] = field(default_factory=list)
    departing: list[Left] = field(default_factory=list)
    continuation: UUID | None = None


def state_of(floor: Floor, asset: str, created_on: datetime, position: int) -> BookState:
    users: dict[str, int] = {}
    bids, asks = (_queues(floor.book.walk(side), users) for side in Side)
    stops = [
        Waiting(
            order.order_id,
            users.setdefault(order.user_id, len(users)),
            order.side,
            order.price,
            order.quantity,
            order.conditions,
        )
        for order in floor.stops
        if order.conditions is not None  # all have them
    ]
    queue = [_waiter(entry, users) for entry in floor.queue.values()]
    return BookState(
        asset,
        created_on,
        position,
        floor.last_trade_id,
        list(users),
        bids,
        asks,
        stops,
        floor.last_price,
        floor.instrument,
        list(floor.expiries.ends()),
        queue,
        list(floor.departing),
        floor.continuation,
    )


def restore(floor: Floor, state: BookState) -> None:
    """Fill an empty floor with this state. Raises ValueError where the columns don't match."""
    floor.last_trade_id = state.last_trade_id
    floor.last_price = state.last_price
    floor.instrument = state.instrument
    for side, queues in ((Side.BUY, state.bids), (Side.SELL, state.asks)):
        prices = chain.from_iterable(map(repeat, queues.prices, queues.lengths))
        columns = zip(
            queues.order_ids, queues.users, prices, queues.quantities, queues.filled, strict=True
        )
        for place, (order_id, user, price, quantity, filled) in enumerate(columns):
            order = RestingOrder(
                order_id,
                state.users[user],
                side,
                price,
                quantity,
                quantity - filled,
                queues.conditions.get(place),
                queues.hidden.get(place, 0),
            )
            floor.stand(order, waits=False)
    for stop in state.stops:
        user_id = state.users[stop.user]
        order = RestingOrder(
            stop.order_id,
            user_id,
            stop.side,
            stop.price,
            stop.quantity,
            stop.quantity,
            stop.conditions,
        )
        floor.stand(order, waits=True)
    for waiter in state.queue:
        order = RestingOrder(
            waiter.order_id,
            state.users[waiter.user],
            waiter.side,
            waiter.price,
            waiter.quantity,
            waiter.remaining,
            waiter.conditions,
        )
        floor.enqueue(
            InTurn(order, waiter.turn, waiter.limit, waiter.quote_quantity, int(waiter.spent))
        )
    floor.departing.extend(state.departing)
    floor.continuation = state.continuation
    for order_id in state.expiring:
        expiring = floor.find(order_id)
        if expiring is None:
            raise ValueError(f"{order_id} expires, and is not there")
        floor.note_expiry(expiring)


def _waiter(entry: InTurn, users: dict[str, int]) -> Waiter:
    order = entry.order
    return Waiter(
        order.order_id,
        users.setdefault(order.user_id, len(users)),
        order.side,
        order.price,
        order.quantity,
        order.remaining,
        order.conditions,
        entry.turn,
        entry.limit,
        entry.quote_quantity,
        str(entry.spent),
    )


def _queues(walk: Iterable[RestingOrder], users: dict[str, int]) -> Queues:
    """The orders of a side; ``users`` gives each user a place, and gets those it lacks."""
    orders = list(walk)
    levels = Counter(map(attrgetter("price"), orders))  # in the order of their first
    return Queues(
        prices=list(levels),
        lengths=list(levels.values()),
        order_ids=[order.order_id for order in orders],
        users=[users.setdefault(order.user_id, len(users)) for order in orders],
        quantities=[order.quantity for order in orders],
        filled=[order.quantity - order.remaining for order in orders],
        conditions={
            place: order.conditions
            for place, order in enumerate(orders)
            if order.conditions is not None
        },
        hidden={place: order.hidden for place, order in enumerate(orders) if order.hidden},
    )
