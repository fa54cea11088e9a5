"""The book does what the naive book does, whatever comes, and keeps its promises meanwhile.

NAIVE_COMMANDS says how many commands the long days have in all.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import singledispatchmethod
from itertools import chain, groupby
from operator import attrgetter
from random import Random
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.book import RestingOrder
from domain.decisions import Cancelled, Reduced, Refused, Replaced
from domain.errors import CancelReason
from domain.facts import Arrival
from domain.instrument import DEFAULT, Instrument, Limits, Rules, TradingStatus
from domain.live_order import LiveOrder
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import arrivals, departures, outcomes, touched
from domain.requests import (
    CancelRequest,
    ContinuationRequest,
    ExpiryRequest,
    InstrumentRequest,
    MassCancelRequest,
    ReplaceRequest,
    TimeRequest,
    UserRequest,
)
from domain.values import (
    MAX_AMOUNT,
    MAX_SLICES,
    PLAIN,
    UNITS_PER_ONE,
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    Terms,
    TimeInForce,
    continuation_id,
)
from tests.domain.naive_book import NaiveBook, NaiveOrder, NaiveTrade, by_trigger
from tests.domain.structure import check_the_structure
from tests.domain.support import (
    START,
    Event,
    deterministic,
    order_id,
    request_id,
    seconds,
    whole_of_queued,
)

ASSET = "BTC-USD"
VENUE = "venue"
MOST = MAX_AMOUNT * UNITS_PER_ONE
# A price of one step times a quantity of one step is one unit of money.
STEP = 10_000
HOUR = 3_600
A_DAY = 5_000  # commands
KINDS_OF_DAYS = 4
DAYS = int(os.environ.get("NAIVE_COMMANDS", "100000")) // (A_DAY * KINDS_OF_DAYS)  # of each kind

STAYING = (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
TIMES_IN_FORCE = {
    OrderType.LIMIT: tuple(TimeInForce),
    OrderType.MARKET: (TimeInForce.IOC, TimeInForce.FOK),
    OrderType.STOP: STAYING,
    OrderType.STOP_LIMIT: tuple(TimeInForce),
}


class Place(NamedTuple):
    """An order; of its terms count those that go with its type: see ``terms_of``."""

    order_type: OrderType
    side: Side
    user: int
    price: int
    quantity: int
    stop_price: int
    time_in_force: TimeInForce
    mode: SelfTradePrevention
    post_only: bool
    take_profit: bool
    display: int | None
    money: int | None
    lifetime: int  # seconds, with GTD
    suspended: bool
    time: int


class Pick(NamedTuple):
    """The n-th newest of the orders that are open, or else of all ever placed; none: unknown."""

    is_open: bool
    back: int


class Cancel(NamedTuple):
    order: Pick
    time: int


class Replace(NamedTuple):
    order: Pick
    price: int | None
    quantity: int | None
    stop_price: int | None
    display: int | None
    suspended: bool
    time: int


class MassCancel(NamedTuple):
    """Of a user's orders, as the user asks or as the user is suspended."""

    user: int
    suspends: bool
    time: int


class Expire(NamedTuple):
    time: int


class ResetTime(NamedTuple):
    time: int


class Change(NamedTuple):
    """Other rules: of the asset, or of all that have none of their own."""

    instrument: Instrument
    is_default: bool
    time: int


class Repeat(NamedTuple):
    """An earlier command comes again, at its position of then."""

    command: int


class Restore(NamedTuple):
    """The book is put down as a snapshot, and goes on from it."""


Command = Place | Cancel | Replace | MassCancel | Expire | ResetTime | Change | Repeat | Restore


def terms_of(place: Place) -> Terms:
    allowed = TIMES_IN_FORCE[place.order_type]
    time_in_force = place.time_in_force if place.time_in_force in allowed else allowed[0]
    is_limit = place.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
    may_rest = is_limit and time_in_force in STAYING
    is_by_money = place.order_type is OrderType.MARKET and time_in_force is TimeInForce.IOC
    money = place.money if is_by_money else None
    display = place.display if may_rest else None
    if display is not None:
        display = min(max(display, -(-place.quantity // MAX_SLICES)), place.quantity)
    return Terms(
        user_id=f"user {place.user}",
        asset=ASSET,
        side=place.side,
        price=place.price if is_limit else None,
        quantity=place.quantity if money is None else None,
        order_type=place.order_type,
        time_in_force=time_in_force,
        post_only=place.post_only and may_rest,
        stop_price=place.stop_price if place.order_type.is_stop else None,
        take_profit=place.take_profit and place.order_type.is_stop,
        display_quantity=display,
        expires_at=(
            seconds(place.time + place.lifetime) if time_in_force is TimeInForce.GTD else None
        ),
        self_trade_prevention=place.mode,
        quote_quantity=money,
    )


# What hypothesis makes up. It tries the first of several first, and shrinks to it.


def commands(
    prices: st.SearchStrategy[int],
    quantities: st.SearchStrategy[int],
    money: st.SearchStrategy[int],
) -> st.SearchStrategy[list[Command]]:
    times = st.integers(-5, 500) | st.integers(0, 72).map(lambda hours: hours * HOUR)
    rarely = st.sampled_from([False] * 15 + [True])
    sometimes = st.sampled_from([False, False, True])
    orders = st.builds(Pick, st.sampled_from([True, True, True, False]), st.integers(0, 12))
    users = st.integers(0, 2)

    def place(*types: OrderType) -> st.SearchStrategy[Place]:
        return st.builds(
            Place,
            st.sampled_from(types),
            st.sampled_from(Side),
            users,
            prices,
            quantities,
            prices,
            st.sampled_from(TimeInForce),
            st.sampled_from(SelfTradePrevention),
            sometimes,
            sometimes,
            st.none() | quantities,
            st.none() | money,
            st.integers(-10, 300),
            rarely,
            times,
        )

    def sometimes_some(amounts: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
        return st.none() | st.none() | amounts

    instruments = st.builds(
        Instrument,
        tick_size=st.sampled_from([1, 1, STEP, 2 * STEP]),
        lot_size=st.sampled_from([1, 1, STEP, 3 * STEP]),
        min_quantity=sometimes_some(quantities),
        max_quantity=sometimes_some(quantities),
        min_notional=sometimes_some(money),
        min_price=sometimes_some(prices),
        max_price=sometimes_some(prices),
        band_percent=sometimes_some(st.integers(0, 4 * UNITS_PER_ONE)),
        session_end=st.sampled_from([0, 360, 720, 1_080]) | st.integers(0, 1_439),
        status=st.sampled_from([TradingStatus.TRADING] * 4 + list(TradingStatus)),
        limits=st.builds(
            Limits,
            max_open_orders=sometimes_some(st.integers(1, 6)),
            max_user_stops=sometimes_some(st.integers(1, 2)),
            max_stops=sometimes_some(st.integers(1, 4)),
            max_slices=sometimes_some(st.integers(1, 4)),
        ),
    )
    command = st.one_of(
        place(OrderType.LIMIT),
        place(OrderType.LIMIT, OrderType.MARKET),
        place(OrderType.STOP, OrderType.STOP_LIMIT),
        place(*OrderType),
        st.builds(Cancel, orders, times),
        st.builds(
            Replace,
            orders,
            st.none() | prices,
            st.none() | quantities,
            sometimes_some(prices),
            sometimes_some(quantities),
            rarely,
            times,
        ),
        st.builds(MassCancel, users, st.booleans(), times),
        st.builds(Expire, times),
        st.builds(ResetTime, times),
        st.builds(Change, instruments, st.booleans(), times),
        st.builds(Repeat, st.integers(0, 50)),
        st.builds(Restore),
    )
    # A list of lists is several times longer than a list, and shrinks as well.
    return st.lists(st.lists(command)).map(lambda parts: list(chain.from_iterable(parts)))


def steps(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least, most).map(lambda number: number * STEP)


FEW = commands(steps(99, 102), steps(1, 6), st.integers(1, 900))
ODD = commands(st.integers(99 * STEP, 102 * STEP), st.integers(1, 6 * STEP), st.integers(1, 900))
WIDE = commands(st.integers(1, MOST), st.integers(1, MOST), st.integers(1, MOST))
MIXED = commands(
    st.integers(1, 3) | st.integers(MOST - 3, MOST),
    st.integers(1, 9) | st.integers(MOST - 3, MOST),
    st.integers(1, 9) | st.integers(MOST - 3, MOST),
)


@given(FEW)
@settings(deterministic, max_examples=200)
def test_where_few_prices_and_quantities_collide(flow: list[Command]) -> None:
    Comparison().run(flow)


@given(ODD)
@settings(deterministic, max_examples=100)
def test_where_prices_and_quantities_are_odd(flow: list[Command]) -> None:
    Comparison().run(flow)


@given(WIDE)
@settings(deterministic, max_examples=70)
def test_over_the_whole_range_of_prices_and_quantities(flow: list[Command]) -> None:
    Comparison().run(flow)


@given(MIXED)
@settings(deterministic, max_examples=70)
def test_where_the_smallest_amounts_meet_the_largest(flow: list[Command]) -> None:
    Comparison().run(flow)


@given(FEW, st.integers(2, 4), st.integers(0, 3))
@settings(deterministic, max_examples=300)
def test_where_events_are_small(flow: list[Command], parts: int, lag: int) -> None:
    Comparison(parts, lag).run(flow)


@given(ODD, st.integers(2, 4), st.integers(0, 3))
@settings(deterministic, max_examples=150)
def test_where_events_are_small_and_amounts_are_odd(
    flow: list[Command], parts: int, lag: int
) -> None:
    Comparison(parts, lag).run(flow)


@given(FEW | ODD, st.integers(2, 4))
@settings(deterministic, max_examples=150)
def test_small_events_lead_to_what_one_large_event_does(flow: list[Command], parts: int) -> None:
    """But for FOK orders, which are killed where one event is too small for them."""
    flow = [without_fok(command) for command in flow if not isinstance(command, Repeat)]
    whole, small = Comparison(), Comparison(parts)
    whole.run(flow)
    small.run(flow)
    assert small.trades == whole.trades
    for name in ("sides", "stops", "floor"):
        assert outcome_of(small)[name] == outcome_of(whole)[name]
    assert orders_of(small) == orders_of(whole)


def without_fok(command: Command) -> Command:
    if isinstance(command, Place) and command.time_in_force is TimeInForce.FOK:
        return command._replace(time_in_force=TimeInForce.IOC)
    return command


def outcome_of(comparison: "Comparison") -> dict[str, Any]:
    """What the book is in the end; the bound itself left out."""
    return state(comparison.book)


def orders_of(comparison: "Comparison") -> list[tuple[Any, ...]]:
    return [
        (order.id, order.status, order.reason, order.limit, order.filled_quantity, order.notional)
        for order in comparison.orders.values()
    ]


class LongDay:
    """Many levels, queues and waiting stops, which short examples never build up.

    Each kind of day is a class, since pytest-xdist runs the tests of a class in one process.
    """

    users: ClassVar[int] = 4
    spread: ClassVar[int] = 4  # steps of the price around its middle
    most: ClassVar[int] = 8  # steps of a quantity
    types: ClassVar[dict[OrderType, int]] = {
        OrderType.LIMIT: 12,
        OrderType.MARKET: 2,
        OrderType.STOP: 2,
        OrderType.STOP_LIMIT: 3,
    }
    modes: ClassVar = (*[SelfTradePrevention.NONE] * 6, *SelfTradePrevention)
    icebergs: ClassVar[float] = 0.15
    changes: ClassVar[float] = 0.02  # of the rules
    middle: ClassVar[int] = 100
    parts: ClassVar[int | None] = None  # of an event
    lag: ClassVar[int] = 0

    @pytest.mark.parametrize("seed", range(DAYS))
    def test_goes_as_in_the_naive_book(self, seed: int) -> None:
        self.random = Random(f"{type(self).__name__} {seed}")
        self.clock = 0
        comparison = Comparison(self.parts, self.lag)
        comparison.run(self.command(number) for number in range(A_DAY))
        assert len(comparison.trades) > A_DAY // 20, "too quiet a day to show anything"

    def command(self, number: int) -> Command:
        random = self.random
        self.clock += 1
        if random.random() < 0.01:
            to_the_end = -self.clock % (6 * HOUR)  # of many sessions
            self.clock += random.choice([to_the_end, random.randint(0, 9 * HOUR)])
        time = self.clock - (random.randint(0, 30) if random.random() < 0.1 else 0)
        (make,) = random.choices(
            (
                lambda: self.place(time),
                lambda: self.replace(time),
                lambda: Cancel(self.pick(), time),
                lambda: MassCancel(random.randrange(self.users), random.random() < 0.5, time),
                lambda: Expire(time),
                lambda: ResetTime(time),
                lambda: Change(self.instrument(), random.random() < 0.4, time),
                lambda: Repeat(random.randint(0, number)),
                Restore,
            ),
            (62, 26, 4, 1, 2, 0.5, 100 * self.changes, 2, 2),
        )
        command: Command = make()
        return command

    def place(self, time: int) -> Place:
        random = self.random
        side = random.choice(list(Side))
        (order_type,) = random.choices(list(self.types), list(self.types.values()))
        away = random.randint(0, self.spread)
        is_passive = random.random() < 0.7
        price = self.middle - away if side is Side.BUY else self.middle + 1 + away
        return Place(
            order_type,
            side,
            random.randrange(self.users),
            price * STEP if is_passive else self.price(),
            self.quantity(),
            self.price(),
            random.choice([*[TimeInForce.GTC] * 4, *TimeInForce, *STAYING]),
            random.choice(self.modes),
            random.random() < 0.15,
            random.random() < 0.3,
            self.slice() if random.random() < self.icebergs else None,
            random.randint(1, 3 * self.middle * self.most) if random.random() < 0.4 else None,
            random.choice([-1, 0, 100, 300, 5 * HOUR]),
            random.random() < 0.01,
            time,
        )

    def replace(self, time: int) -> Replace:
        random = self.random
        return Replace(
            self.pick(),
            random.choice([None, None, self.price()]),
            random.choice([None, self.quantity()]),
            random.choice([*[None] * 7, self.price()]),
            self.slice() if random.random() < self.icebergs / 2 else None,
            random.random() < 0.01,
            time,
        )

    def instrument(self) -> Instrument:
        random = self.random

        def sometimes(amount: int) -> int | None:
            return amount if random.random() < 0.15 else None

        return Instrument(
            tick_size=random.choice([1, 1, 1, STEP, 2 * STEP]),
            lot_size=random.choice([1, 1, 1, 1, STEP, STEP, STEP, 3 * STEP]),
            min_quantity=sometimes(random.randint(1, 2 * STEP)),
            max_quantity=sometimes((self.most - 1) * STEP),
            min_notional=sometimes(self.middle),
            min_price=sometimes((self.middle - self.spread + 1) * STEP),
            max_price=sometimes((self.middle + self.spread) * STEP),
            band_percent=sometimes(
                random.randint(1, 200 * self.spread * UNITS_PER_ONE // self.middle)
            ),
            session_end=random.choice([0, 360, 720, 1_080, random.randint(0, 1_439)]),
            status=random.choice([TradingStatus.TRADING] * 36 + list(TradingStatus)),
            limits=Limits(
                max_open_orders=sometimes(random.randint(5, 40)),
                max_user_stops=sometimes(random.randint(1, 9)),
                max_stops=sometimes(random.randint(3, 20)),
                max_slices=sometimes(random.randint(1, 9)),
            ),
        )

    def pick(self) -> Pick:
        return Pick(self.random.random() < 0.9, self.random.randint(0, 60))

    def price(self) -> int:
        return self.odd((self.middle + self.random.randint(-self.spread, self.spread)) * STEP)

    def quantity(self) -> int:
        return self.odd(self.random.randint(1, self.most) * STEP)

    def slice(self) -> int:
        return 1 if self.random.random() < 0.02 else self.odd(self.random.randint(1, 3) * STEP)

    def odd(self, amount: int) -> int:
        """Mostly as it is: what is not round would break nearly all rules of sizes."""
        return amount - self.random.randint(1, STEP - 1) if self.random.random() < 0.1 else amount


class TestADayOfAllKinds(LongDay):
    pass


class TestADayOfCascades(LongDay):
    types: ClassVar = {
        OrderType.LIMIT: 12,
        OrderType.MARKET: 3,
        OrderType.STOP: 8,
        OrderType.STOP_LIMIT: 8,
    }
    spread: ClassVar = 12
    changes: ClassVar = 0.005


class TestADayOfSelfTradesAndIcebergs(LongDay):
    users: ClassVar = 2
    icebergs: ClassVar = 0.6
    most: ClassVar = 12
    changes: ClassVar = 0.005
    modes: ClassVar = tuple(SelfTradePrevention)[1:]


class TestADayOfChangingRules(LongDay):
    changes: ClassVar = 0.12
    spread: ClassVar = 6
    middle: ClassVar = 40


class TestADayOfSmallEvents(TestADayOfCascades):
    icebergs: ClassVar = 0.3
    users: ClassVar = 3
    parts: ClassVar = 3
    lag: ClassVar = 2


class Comparison:
    """Sends each command to both books and compares all that there is to see."""

    def __init__(self, parts: int | None = None, lag: int = 0) -> None:
        """``parts`` bounds each event; what is left is gone on with ``lag`` commands later."""
        self.lag = lag
        self.waited = 0
        self.continuation: Event = None  # what the engine has asked for, as it would
        self.book = OrderBook.open(ASSET, START)
        self.events: list[Event] = list(self.book.collect_events())
        self.replica: OrderBook = self.events[0].mutate(None)
        self.naive = NaiveBook()
        self.naive.expire(START)
        self.default = replace(DEFAULT, limits=Limits(max_parts=parts))
        self.orders: dict[UUID, Order] = {}  # in the order of their placing
        self.live: dict[UUID, LiveOrder] = {}
        self.unsettled: set[UUID] = set()
        self.commands = 0
        self.sent: list[tuple[str, int, tuple[Any, ...]]] = []
        self.trades: list[NaiveTrade] = []
        self.depth = Depth()

    def run(self, flow: Iterable[Command]) -> None:
        for command in flow:
            self.waited += 1
            self.send(command)
            while self.continuation is not None and self.waited >= self.lag:
                self.go_on()
        while self.continuation is not None:
            self.go_on()
        assert not self.book.floor.has_work_left
        for order in self.orders.values():
            self.check_the_order(order)
        self.check_the_sums()
        replayed: Any = None
        for event in self.events:
            replayed = event.mutate(replayed)
        assert state(replayed) == state(self.book)

    def go_on(self) -> None:
        request, self.continuation = self.continuation, None
        rules = Rules(self.default)
        self.naive.go_on(rules)
        self.decide("go_on", request, rules)

    # Sending.

    @singledispatchmethod
    def send(self, command: object) -> None:
        raise NotImplementedError

    @send.register
    def _(self, command: Place) -> None:
        name = order_id(f"order {len(self.orders)}")
        terms, time, rules = terms_of(command), seconds(command.time), self.rules(command)
        order = self.orders[name] = Order.place(name, terms, time)
        self.live[name] = order.live()
        self.unsettled.add(name)
        placed = created(order)
        self.naive.place(name, terms, time, rules)
        event = self.decide("place", placed, rules)
        expected = self.naive.everyone[name]
        if isinstance(event, Refused):
            assert (event.request_id, event.order_id) == (None, name)
            assert (event.reason, event.limit) == (expected.reason, expected.limit)

    @send.register
    def _(self, command: Cancel) -> None:
        name, time = self.name(command.order), seconds(command.time)
        rules = Rules(self.default)
        refused = self.naive.cancel(name, time, rules)
        request = CancelRequest.make(
            self.request, user_id="user", asset=ASSET, order_id=name, time=time
        )
        event = self.decide("cancel", created(request), rules)
        assert getattr(event, "request_id", None) == request.id
        assert isinstance(event, Refused) == (refused is not None)
        assert refused in {None, event.reason}

    @send.register
    def _(self, command: Replace) -> None:
        name, time, rules = self.name(command.order), seconds(command.time), self.rules(command)
        changes = {
            "price": command.price,
            "quantity": command.quantity,
            "stop_price": command.stop_price,
            "display_quantity": command.display,
        }
        refused = self.naive.replace(name, time, rules=rules, **changes)
        request = ReplaceRequest.make(
            self.request, user_id="user", asset=ASSET, order_id=name, time=time, **changes
        )
        event = self.decide("replace", created(request), rules)
        assert event.request_id == request.id
        assert isinstance(event, Refused) == (refused is not None)
        if self.naive.broken is not None:
            assert (event.reason, event.limit) == self.naive.broken

    @send.register
    def _(self, command: MassCancel) -> None:
        user, time = f"user {command.user}", seconds(command.time)
        expected: list[UUID] = []
        is_heard = any(order.terms.user_id == user for order in self.open_orders())
        reason = CancelReason.USER_SUSPENDED if command.suspends else CancelReason.USER_REQUEST
        rules = Rules(self.default)
        if is_heard:  # where a book has none of the orders, the request is none of its commands
            expected = self.naive.mass_cancel(user, reason.value, time, rules)
        request = (
            UserRequest.make(self.request, user_id=user, asset=ASSET, is_suspended=True, time=time)
            if command.suspends
            else MassCancelRequest.make(self.request, user_id=user, asset=ASSET, time=time)
        )
        event = self.decide("mass_cancel", created(request), reason, rules, is_heard=is_heard)
        if is_heard:
            assert {each.order_id for each in event.departed} == set(expected)

    @send.register
    def _(self, command: Expire) -> None:
        time = seconds(command.time)
        rules = Rules(self.default)
        self.naive.expire(time, rules)
        request = ExpiryRequest.make(self.request, user_id=VENUE, asset=ASSET, time=time)
        self.decide("expire", created(request), rules)

    @send.register
    def _(self, command: ResetTime) -> None:
        time = seconds(command.time)
        self.naive.reset_time(time)
        request = TimeRequest.make(self.request, user_id=VENUE, asset=ASSET, time=time)
        self.decide("reset_time", created(request))

    @send.register
    def _(self, command: Change) -> None:
        time, instrument = seconds(command.time), command.instrument
        request = InstrumentRequest.make(
            self.request, user_id=VENUE, asset=ASSET, instrument=instrument, time=time
        )
        if not command.is_default:
            rules = Rules(self.default)
            self.naive.change_instrument(instrument, time, rules)
            self.decide("change_instrument", created(request), rules)
            return
        self.default = Rules(self.default).limited(instrument)
        if instrument.status is TradingStatus.DELISTED:
            is_known = any(self.open_orders()) or self.naive.last_price is not None
            is_heard = self.naive.own is None and is_known
            rules = Rules(self.default)
            if is_heard:
                self.naive.delist(time, rules)
            self.decide("delist_by_default", created(request), rules, is_heard=is_heard)

    @send.register
    def _(self, command: Repeat) -> None:
        if self.sent:
            before = state(self.book)
            method, position, arguments = self.sent[command.command % len(self.sent)]
            getattr(self.book, method)(position, *arguments)
            assert list(self.book.collect_events()) == []
            assert state(self.book) == before

    @send.register
    def _(self, _: Restore) -> None:
        before = self.book
        self.book = OrderBook.Snapshot.take(before).mutate(None)
        assert state(self.book) == state(before)

    # How commands are made.

    @property
    def request(self) -> UUID:
        return request_id(self.commands)

    def rules(self, command: Place | Replace) -> Rules:
        return Rules(self.default, command.suspended)

    def name(self, pick: Pick) -> UUID:
        resting = [order.order for order in self.open_orders()] if pick.is_open else []
        if resting:
            return resting[-1 - pick.back % len(resting)]
        number = len(self.orders) - 1 - pick.back
        return order_id(f"order {number}" if number >= 0 else "nobody's")

    def open_orders(self) -> Iterator[NaiveOrder]:
        return chain(self.naive.resting, self.naive.stops, self.naive.turns)

    # What is decided.

    def decide(self, method: str, *arguments: Any, is_heard: bool = True) -> Event:
        """Has the book decide, and compares what came of it; returns the one event."""
        self.commands += 1
        position = 10 * self.commands
        self.sent.append((method, position, arguments))
        getattr(self.book, method)(position, *arguments)
        events = list(self.book.collect_events())
        assert len(events) == is_heard, "one event per command"
        if not is_heard:
            return None
        (event,) = events
        self.events.append(event)
        assert (event.position, event.timestamp) == (position, self.naive.time)
        assert event.originator_version == self.book.version == len(self.events) - 1
        event.mutate(self.replica)
        assert state(self.replica) == state(self.book)
        self.check_the_bound(event)
        self.check_the_trades(trades_of(event))
        self.check_the_floor()
        self.depth.apply(event)
        assert self.depth.levels == depth_of(self.book)
        self.tell(event)
        for name in list(self.unsettled):
            self.check_the_order(self.orders[name])
            if self.orders[name].status.is_terminal:
                self.unsettled.remove(name)
        return event

    def check_the_bound(self, event: Event) -> None:
        """Nothing is too large, and one request at a time goes on with what is left."""
        most = Rules(self.default).limits_of(self.book.floor.instrument or self.default).max_parts
        turns = arrivals(event)
        parts = len(departures(event)) + sum(len(each.fills + each.prevented) for each in turns)
        assert most is None or parts <= most
        if event.continues:
            assert self.continuation is None
            self.waited = 0
            self.continuation = created(
                ContinuationRequest.make(
                    continuation_id(self.book.id, event.originator_version),
                    user_id="engine",
                    asset=ASSET,
                    time=event.timestamp,
                )
            )
        floor = self.book.floor
        assert floor.has_work_left <= (floor.continuation is not None)
        asked = self.continuation and self.continuation.originator_id
        assert floor.continuation == asked

    def tell(self, event: Event) -> None:
        """Tells the orders what became of them."""
        told = outcomes(event)
        names = [outcome.order_id for outcome in told]
        assert len(set(names)) == len(names), "at most one outcome per order and decision"
        assert set(names) == set(touched(event))
        parts: Counter[tuple[int, Liquidity, int, int]] = Counter()
        for outcome in told:
            fills = outcome.facts.get("fills", ())
            parts.update(
                (fill.trade_id, fill.liquidity, fill.price, fill.quantity) for fill in fills
            )
            if outcome.order_id not in self.orders:  # a request may name one never placed
                continue
            order = self.orders[outcome.order_id]
            is_over = order.status.is_terminal
            assert not is_over or outcome.event is Order.RequestRefused, "terminal states are final"
            takes = any(fill.liquidity is Liquidity.TAKER for fill in fills)
            assert not (takes and order.terms.post_only), "post-only never takes"
            order.record(outcome.event, **outcome.facts)
            made = self.live[outcome.order_id].next_event(outcome.event, dict(outcome.facts))
            assert made == order.pending_events[-1], "the aggregate is not needed for its events"
        assert parts == Counter(
            (trade.trade_id, part, trade.price, trade.quantity)
            for trade in trades_of(event)
            for part in Liquidity
        ), "each trade has two sides, which say the same of it"

    # What there is to see.

    def check_the_trades(self, trades: list[NaiveTrade]) -> None:
        known = len(self.trades)
        self.trades += trades
        assert trades == self.naive.trades[known:]
        assert [trade.trade_id for trade in trades] == list(range(known + 1, len(self.trades) + 1))
        for trade in trades:
            maker, taker = self.orders[trade.maker].terms, self.orders[trade.taker].terms
            assert trade.quantity > 0
            assert maker.side is not taker.side
            is_prevented = taker.self_trade_prevention is not SelfTradePrevention.NONE
            assert not is_prevented or maker.user_id != taker.user_id, "nobody trades with oneself"
        for taker, sweep in groupby(trades, attrgetter("taker")):
            prices = [trade.price for trade in sweep]
            is_seller = self.orders[taker].terms.side is Side.SELL
            assert prices == sorted(prices, reverse=is_seller), "the best price comes first"

    def check_the_floor(self) -> None:
        floor, resting = self.book.floor, []
        for side in Side:
            queue = list(floor.book.walk(side))
            assert [
                (order.order_id, order.price, order.quantity, order.remaining, order.shown)
                for order in queue
            ] == [
                (order.order, order.price, order.quantity, order.remaining, order.shown)
                for order in self.naive.queue(side)
            ]
            resting += queue
        assert [
            (order.order_id, order.price, order.quantity, order.remaining) for order in floor.stops
        ] == [
            (order.order, order.price, order.quantity, order.remaining)
            for order in by_trigger(self.naive.waiting())
        ]
        assert [(each.order.order_id, each.turn) for each in floor.queue.values()] == [
            (order.order, order.turn) for order in self.naive.turns
        ]
        assert [gone.order_id for gone in floor.departing] == [
            order.order for order, *_ in self.naive.departing
        ]
        assert floor.last_price == self.naive.last_price
        assert floor.last_trade_id == len(self.naive.trades)
        assert floor.instrument == self.naive.own
        bids, asks = (self.naive.queue(side) for side in Side)
        assert not bids or not asks or price_of(bids[0]) < price_of(asks[0]), "never crossed"
        everyone = [order.order_id for order in [*resting, *floor.stops]]
        assert len(set(everyone)) == len(everyone), "no order twice"
        assert set(everyone) == {*floor.book.orders, *floor.stops.orders}
        for order in resting:
            display = (order.conditions or PLAIN).display_quantity
            assert 0 < order.shown <= order.remaining
            assert display is None or order.shown <= display, "never more than its slice"
            assert order.filled + order.remaining == order.quantity
        check_the_structure(floor.book)

    def check_the_order(self, order: Order) -> None:
        expected = self.naive.everyone[order.id]
        assert (order.status, order.reason) == (expected.status, expected.reason)
        assert order.limit == expected.limit
        assert (order.price, order.quantity) == (expected.price, expected.quantity)
        assert order.stop_price == expected.stop_price
        assert order.display_quantity == expected.display_quantity
        assert (order.filled_quantity, order.notional) == (expected.filled, expected.notional)
        assert order.status is not OrderStatus.PENDING
        is_open = self.book.floor.find(order.id) is not None or any(
            gone.order_id == order.id for gone in self.book.floor.departing
        )
        assert is_open != order.status.is_terminal, (
            "what is over does not rest, and what rests is not"
        )
        assert order.quantity is None or order.filled_quantity <= order.quantity

    def check_the_sums(self) -> None:
        filled: Counter[Side] = Counter()
        for order in self.orders.values():
            filled[order.terms.side] += order.filled_quantity
        traded = sum(trade.quantity for trade in self.trades)
        assert (filled[Side.BUY], filled[Side.SELL]) == (traded, traded)


class Depth:
    """What each level shows and how many orders are there, from the events alone."""

    def __init__(self) -> None:
        self.levels: dict[tuple[Side, int], tuple[int, int]] = {}

    def apply(self, event: Event) -> None:
        for gone in departures(event):
            self.add(gone.side, gone.price, -gone.shown)
        match event:
            case Cancelled():
                self.add(event.side, event.price, -event.shown)
            case Reduced() if event.shown:
                self.add(event.side, event.price, event.shown - event.previous_shown, orders=0)
            case Replaced() if event.previous_shown:
                self.add(event.side, event.previous_price, -event.previous_shown)
        for arrival in arrivals(event):
            self.arrive(arrival)

    def arrive(self, arrival: Arrival) -> None:
        others = arrival.side.opposite
        for fill in arrival.fills:
            shown = fill.refill - fill.quantity
            self.add(others, fill.price, shown, orders=0 if fill.maker_remaining else -1)
        for prevented in arrival.prevented:
            shown = prevented.shown - prevented.previous_shown
            self.add(others, prevented.price, shown, orders=-1 if prevented.is_cancelled else 0)
        self.add(arrival.side, arrival.price, arrival.shown)

    def add(self, side: Side, price: int | None, shown: int, orders: int | None = None) -> None:
        """Of one order that comes or goes, unless it is told; of none where nothing is shown."""
        if price is None or (orders is None and shown == 0):
            return
        if orders is None:
            orders = 1 if shown > 0 else -1
        before, count = self.levels.pop((side, price), (0, 0))
        if count + orders:
            self.levels[side, price] = (before + shown, count + orders)
        else:
            assert before + shown == 0


def depth_of(book: OrderBook) -> dict[tuple[Side, int], tuple[int, int]]:
    depth: dict[tuple[Side, int], tuple[int, int]] = {}
    for side in Side:
        for order in book.book.walk(side):
            assert order.price is not None
            shown, orders = depth.get((side, order.price), (0, 0))
            depth[side, order.price] = (shown + order.shown, orders + 1)
    for gone in book.floor.departing:  # it is shown until an event says that it has left
        if gone.price is not None and gone.shown:
            shown, orders = depth.get((gone.side, gone.price), (0, 0))
            depth[gone.side, gone.price] = (shown + gone.shown, orders + 1)
    return depth


def created(request: Any) -> Event:
    (event,) = request.collect_events()
    return event


def trades_of(event: Event) -> list[NaiveTrade]:
    """The trades of a decision, the arriving order's and then those that they set off."""
    return [
        NaiveTrade(
            fill.trade_id,
            fill.maker_order_id,
            arrival.order_id,
            fill.price,
            fill.quantity,
            fill.maker_remaining,
        )
        for arrival in arrivals(event)
        for fill in arrival.fills
    ]


def price_of(order: NaiveOrder) -> int:
    assert order.price is not None
    return order.price


def state(book: OrderBook) -> dict[str, Any]:
    """Everything that a book is, pending events left out."""
    floor = book.floor
    whole = attrgetter(*RestingOrder.__slots__)
    return {
        "book": (book.id, book.asset, book.version, book.position),
        "times": (book.created_on, book.modified_on),
        "sides": [[whole(order) for order in floor.book.walk(side)] for side in Side],
        "stops": [whole(order) for order in floor.stops],
        "expiries": {time: set(orders) for time, orders in floor.expiries._orders.items()},
        "floor": (floor.instrument, floor.last_trade_id, floor.last_price),
        "queue": [
            (whole_of_queued(each.order), each.turn, each.limit, each.quote_quantity, each.spent)
            for each in floor.queue.values()
        ],
        "left": (list(floor.departing), floor.continuation),
    }
