"""The book does what the naive book does, whatever comes, and keeps its promises meanwhile."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import singledispatchmethod
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.order_book import OrderBook
from domain.values import MAX_AMOUNT, UNITS_PER_ONE, OrderStatus, Side, TimeInForce
from tests.domain import naive_book as naive
from tests.domain.structure import check_the_structure
from tests.domain.support import Command as Sent
from tests.domain.support import Event, Exchange, deterministic, order_id, seconds, state


class Place(NamedTuple):
    side: Side
    quantity: int
    price: int
    ioc: bool
    time: int


class Pick(NamedTuple):
    """The n-th newest of the orders that rest, or else of all ever placed; none: unknown."""

    rests: bool
    back: int


class Cancel(NamedTuple):
    order: Pick
    time: int


class Replace(NamedTuple):
    order: Pick
    price: int | None
    quantity: int | None
    time: int


class Repeat(NamedTuple):
    """An earlier command comes again, at its position of then."""

    command: int


Command = Place | Cancel | Replace | Repeat


def commands(
    prices: st.SearchStrategy[int], quantities: st.SearchStrategy[int]
) -> st.SearchStrategy[list[Command]]:
    times = st.integers(-5, 500)
    orders = st.builds(Pick, st.sampled_from([True, True, True, False]), st.integers(0, 12))
    command = st.one_of(
        *[
            st.builds(Place, st.just(side), quantities, prices, st.just(ioc), times)
            for side in Side
            for ioc in (False, False, False, True)
        ],
        *[
            st.builds(Replace, orders, st.none() | prices, st.none() | quantities, times)
            for _ in range(2)
        ],
        st.builds(Replace, orders, prices, quantities, times),
        st.builds(Cancel, orders, times),
        st.builds(Repeat, st.integers(0, 50)),
    )
    # A list of lists is several times longer than a list, and shrinks as well.
    return st.lists(st.lists(command)).map(lambda parts: [each for part in parts for each in part])


FEW = commands(st.integers(99, 102), st.integers(1, 6))
WIDE = commands(
    st.integers(1, MAX_AMOUNT * UNITS_PER_ONE), st.integers(1, MAX_AMOUNT * UNITS_PER_ONE)
)
MIXED = commands(
    st.integers(1, 3) | st.integers(2**62, 2**64), st.integers(1, 9) | st.integers(2**62, 2**64)
)


@given(FEW)
@settings(deterministic, max_examples=300)
def test_where_few_prices_and_quantities_collide(flow: list[Command]) -> None:
    Comparison().run(flow)


@given(WIDE)
@settings(deterministic, max_examples=100)
def test_over_the_whole_range_of_prices_and_quantities(flow: list[Command]) -> None:
    Comparison().run(flow)


@given(MIXED)
@settings(deterministic, max_examples=100)
def test_where_the_smallest_amounts_meet_the_largest(flow: list[Command]) -> None:
    Comparison().run(flow)


@pytest.mark.parametrize("seed", range(12))
def test_over_a_long_day(seed: int) -> None:
    """Deep queues and many levels, which short examples never build up."""
    random = Random(seed)
    middle, spread, most = random.choice([(100, 3, 8), (1_000, 12, 30), (10**6, 200, 5)])

    def pick() -> Pick:
        return Pick(random.random() < 0.9, random.randint(0, 60))

    def price() -> int:
        return middle + random.randint(-spread, spread)

    def passive(side: Side) -> int:
        away = random.randint(0, spread)
        return middle - away if side is Side.BUY else middle + 1 + away

    def command(number: int) -> Command:
        kind = random.random()
        if kind < 0.55:
            side = random.choice(list(Side))
            at = passive(side) if random.random() < 0.6 else price()
            return Place(side, random.randint(1, most), at, random.random() < 0.15, number)
        if kind < 0.62:
            return Cancel(pick(), number)
        if kind < 0.97:
            new_price = random.choice([None, None, price()])
            new_quantity = random.choice([None, random.randint(1, most)])
            return Replace(pick(), new_price, new_quantity, number)
        return Repeat(random.randint(0, number))

    comparison = Comparison()
    comparison.run(command(number) for number in range(1_000))
    assert comparison.naive.trades > 200, "this day was too quiet to show anything"


class Comparison:
    """Sends each command to both books and compares all that there is to see."""

    def __init__(self) -> None:
        self.naive = naive.NaiveBook()
        self.market = Exchange()
        self.replica: OrderBook = self.market.events[0].mutate(None)
        self.names: dict[UUID, str] = {}
        self.sent: list[tuple[int, Callable[[int, Sent], None], Sent]] = []
        self.time = seconds(0)
        self.last_trade = 0

    def run(self, flow: Iterable[Command]) -> None:
        for command in flow:
            self.send(command)
            self.check_the_state()
            self.check_the_promises()
        self.check_orders(self.names)
        replayed: Any = None
        for event in self.market.events:
            replayed = event.mutate(replayed)
        assert state(replayed) == state(self.market.book)

    @singledispatchmethod
    def send(self, command: object) -> None:
        raise NotImplementedError

    @send.register
    def _(self, command: Place) -> None:
        name = f"order {len(self.names)}"
        self.names[order_id(name)] = name
        expected = self.naive.place(
            order_id(name), command.side, command.price, command.quantity, ioc=command.ioc
        )
        events = self.market.place(
            name,
            command.side,
            command.quantity,
            command.price,
            time_in_force=TimeInForce.IOC if command.ioc else TimeInForce.GTC,
            at=self.at(command.time),
        )
        placed = self.market[name].pending_events[0]
        self.remember(self.market.book.place, placed)
        self.check(events, expected)

    @send.register
    def _(self, command: Cancel) -> None:
        name = self.name(command.order)
        expected = self.naive.cancel(order_id(name))
        at = self.at(command.time)
        events = self.market.cancel(name, at=at)
        self.remember(self.market.book.cancel, self.market.cancel_request(name, at))
        self.check(events, expected)

    @send.register
    def _(self, command: Replace) -> None:
        name = self.name(command.order)
        expected = self.naive.replace(order_id(name), command.price, command.quantity)
        at = self.at(command.time)
        events = self.market.amend(name, price=command.price, quantity=command.quantity, at=at)
        request = self.market.replace_request(name, command.price, command.quantity, at)
        self.remember(self.market.book.replace, request)
        self.check(events, expected)

    @send.register
    def _(self, command: Repeat) -> None:
        if self.sent:
            position, decide, sent = self.sent[command.command % len(self.sent)]
            before = state(self.market.book)
            decide(position, sent)
            assert self.market.book.collect_events() == []
            assert state(self.market.book) == before

    def name(self, pick: Pick) -> str:
        if pick.rests and self.naive.resting:
            resting = self.naive.resting
            return self.names[resting[-1 - pick.back % len(resting)].order]
        ever = list(self.names.values())
        return ever[-1 - pick.back] if pick.back < len(ever) else "nobody's"

    def at(self, time: int) -> datetime:
        self.time = max(self.time, seconds(time))
        return seconds(time)

    def remember(self, decide: Callable[[int, Sent], None], command: Sent) -> None:
        self.sent.append((self.market.position, decide, command))

    def check(self, events: list[Event], expected: naive.NaiveOutcome) -> None:
        assert len(events) == 1, "one event per command"
        (event,) = events
        assert outcome(event) == expected
        assert event.timestamp == self.time
        assert event.position == self.market.position
        assert event.originator_version == self.market.commands
        if not isinstance(event, OrderBook.Matched):
            assert event.request_id is not None
        for fill in getattr(event, "fills", ()):
            self.last_trade += 1
            assert fill.trade_id == self.last_trade
            assert fill.quantity > 0
        event.mutate(self.replica)

    def check_the_state(self) -> None:
        book = self.market.book
        for side in Side:
            assert [
                (order.order_id, order.side, order.price, order.quantity, order.filled)
                for order in book.book.walk(side)
            ] == [
                (order.order, order.side, order.price, order.quantity, order.filled)
                for order in self.naive.queue(side)
            ]
            assert levels(book, side) == {order.price for order in self.naive.queue(side)}
        assert book.last_trade_id == self.naive.trades
        assert state(self.replica) == state(book)

    def check_the_promises(self) -> None:
        book = self.market.book
        assert book.version == self.market.commands
        bids, asks = (list(book.book.walk(side)) for side in (Side.BUY, Side.SELL))
        assert not bids or not asks or bids[0].price < asks[0].price, "never crossed"
        everyone = [order.order_id for order in bids + asks]
        assert len(set(everyone)) == len(everyone), "no order twice"
        assert set(everyone) == set(book.book.orders)
        for resting in bids + asks:
            assert resting.filled + resting.remaining == resting.quantity
            assert resting.remaining > 0
        told = [outcome.order_id for outcome in self.market.outcomes]
        assert len(set(told)) == len(told), "at most one outcome per order and decision"
        self.check_orders(told)

    def check_orders(self, order_ids: Iterable[UUID]) -> None:
        for order in (self.market.orders[each] for each in order_ids if each in self.names):
            expected = self.naive.everyone[order.id]
            assert order.status == OrderStatus(self.naive.status[order.id])
            assert (order.price, order.quantity) == (expected.price, expected.quantity)
            assert order.filled_quantity == expected.filled
            assert order.status.is_terminal == (order.id not in self.market.book.book.orders)


def levels(book: OrderBook, side: Side) -> set[int]:
    """The prices that the book keeps a queue for: an empty one is waste that only grows."""
    check_the_structure(book.book)
    ladder = book.book._bids if side is Side.BUY else book.book._asks
    return set(ladder.levels)


def outcome(event: Event) -> naive.NaiveOutcome:
    """An event of the book as the naive book says it."""
    match event:
        case OrderBook.Matched():
            fills = _fills(event)
            filled = sum(fill.quantity for fill in fills)
            return naive.Placed(
                event.order_id,
                event.side,
                event.price,
                event.quantity,
                fills,
                event.rested,
                event.quantity - filled - event.rested,
                event.reason,
            )
        case OrderBook.Cancelled():
            return naive.Cancelled(event.order_id, event.side, event.price, event.remaining)
        case OrderBook.Reduced():
            return naive.Reduced(
                event.order_id,
                event.side,
                event.price,
                event.quantity,
                event.remaining,
                event.previous_remaining,
            )
        case OrderBook.Replaced():
            return naive.Replaced(
                event.order_id,
                event.side,
                event.price,
                event.quantity,
                event.previous_price,
                event.previous_remaining,
                _fills(event),
                event.rested,
            )
        case OrderBook.Refused():
            return naive.Refused(event.order_id, event.reason)
    raise AssertionError(f"the naive book knows no {event}")


def _fills(event: OrderBook.Matched | OrderBook.Replaced) -> list[naive.NaiveFill]:
    return [
        naive.NaiveFill(
            fill.trade_id, fill.maker_order_id, fill.price, fill.quantity, fill.maker_remaining
        )
        for fill in event.fills
    ]
