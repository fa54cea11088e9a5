"""Days at an exchange whose two logs are kept, with every event that there can be."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from application.deciding import COMMANDS
from application.orders import continuation
from application.persistence.log import Entry
from domain.errors import CancelReason, RejectReason
from domain.instrument import Instrument, Limits, Rules, TradingStatus
from domain.order_book import OrderBook
from domain.requests import (
    CancelRequest,
    InstrumentRequest,
    LimitsRequest,
    TimeRequest,
    UserRequest,
)
from domain.values import (
    ALL_ASSETS,
    MAX_AMOUNT,
    UNITS_PER_ONE,
    OrderType,
    SelfTradePrevention,
    Side,
    Terms,
    TimeInForce,
)
from domain.venue import Venue
from tests.domain.support import START, Command, Event, Exchange, order_id, request_id, seconds

_MOST = MAX_AMOUNT * UNITS_PER_ONE


class Day(Exchange):
    """Its logs are events with their positions; an outcome has that of its command."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = True  # at once, with what an event has no room for
        self.left: Event = None  # such an event
        self.venue = Venue.open(START)
        self.orders_log: list[Entry] = []
        self.matching_log: list[Entry] = []
        self._note([*self.events, *self.venue.collect_events()])

    @property
    def book_log(self) -> list[Entry]:
        """What of Matching's log is of the book."""
        kinds = OrderBook.Decided | OrderBook.Created
        return [entry for entry in self.matching_log if isinstance(entry[1], kinds)]

    @property
    def commands_log(self) -> list[Entry]:
        return [entry for entry in self.orders_log if isinstance(entry[1], COMMANDS)]

    def rules_for(self, user: str) -> Rules:
        return self.venue.rules_at(self.position, user)

    def let_in(self, user: str, *, suspended: bool = False) -> list[Event]:
        """Suspends a user, or lets them in again, for all assets."""
        request = UserRequest.make(
            request_id(self.commands + 1),
            user_id=user,
            asset=ALL_ASSETS,
            is_suspended=suspended,
            time=self._next(None),
        ).collect_events()[0]
        self._asked(request)
        self.venue.change_user(self.position, request)
        self._note(self.venue.collect_events())
        if suspended:
            rules = self.rules_for(user)
            self.book.mass_cancel(self.position, request, CancelReason.USER_SUSPENDED, rules)
        return self._new()

    def set_default(self, **rules: Any) -> list[Event]:
        """Gives all assets other rules, but for those that have their own."""
        request = InstrumentRequest.make(
            request_id(self.commands + 1),
            user_id="operator",
            asset=ALL_ASSETS,
            instrument=Instrument(**rules),
            time=self._next(None),
        ).collect_events()[0]
        self._asked(request)
        self.venue.change_default(self.position, request)
        self._note(self.venue.collect_events())
        if request.instrument.status is TradingStatus.DELISTED:
            self.book.delist_by_default(self.position, request, self.rules_for("operator"))
        return self._new()

    def limit(self, **limits: int) -> list[Event]:
        """Sets the limits that the default instrument leaves open."""
        request = LimitsRequest.make(
            request_id(self.commands + 1),
            user_id="engine",
            asset=ALL_ASSETS,
            limits=Limits(**limits),
            time=self._next(None),
        ).collect_events()[0]
        self._asked(request)
        self.venue.set_limits(self.position, request)
        self._note(self.venue.collect_events())
        return self._new()

    def send(self, decide: Callable[[int, Command], None], command: Command) -> list[Event]:
        ruled: Any = decide
        if not isinstance(command, TimeRequest.Created):
            ruled = partial(ruled, rules=self.rules_for(command.user_id))
        return super().send(ruled, self._asked(command))

    def go_on(self) -> None:
        """Goes on with what events had no room for, as the engine would."""
        while self.left is not None:
            left, self.left = self.left, None
            self.commands += 1
            self.send(self.book.go_on, continuation(left).collect_events()[0])

    def replace_request(self, name: str, time: datetime, **changes: int | None) -> Command:
        return self._asked(super().replace_request(name, time, **changes))

    def _asked(self, request: Command) -> Command:
        self.orders_log.append((self.position, request))
        return request

    def _new(self) -> list[Event]:
        self.outcomes = []
        events = super()._new()
        self._note(events)
        for outcome in self.outcomes:
            if order := self.orders.get(outcome.order_id):
                self.orders_log += [(self.position, event) for event in order.collect_events()]
        for event in events:
            if event.continues:
                self.left = event
        if self.goes_on and self.left is not None:
            self.go_on()
        return events

    def _note(self, events: list[Event]) -> None:
        self.matching_log += enumerate(events, start=len(self.matching_log) + 1)


def eventful_day() -> Day:
    """Few commands, but every type of event, every reason, and the extremes of amounts."""
    day = Day()
    day.sell("a", 150_000_000, 4_500_000_000_000, user="alice")
    day.buy("b", 5, 4_500_000_000_001, user="bob.b_:@-")
    day.buy("c", _MOST, _MOST, user="carol")
    day.sell("d", 7, 1, time_in_force=TimeInForce.IOC)
    day.sell("e", 7, _MOST, time_in_force=TimeInForce.IOC)
    day.buy("f", 10, 100)
    day.amend("f", quantity=7)
    day.amend("f", price=_MOST - 1)
    day.sell("g", 3, 90)
    day.amend("f", quantity=1)
    day.amend("c", quantity=1)
    day.amend("c", price=99)
    day.cancel("c")
    day.cancel("c")
    named = Terms("u", day.asset, Side.BUY, 1, 1, client_order_id="c-1")
    day.refuse(day.new_order("h", named, seconds(50)), RejectReason.INTERNAL_ERROR)
    request = CancelRequest.make(
        request_id(51), user_id="u", asset=day.asset, order_id=order_id("f"), time=seconds(51)
    )
    day.refuse(request.collect_events()[0], RejectReason.INTERNAL_ERROR)
    day.cancel_all("user")
    _icebergs(day)
    _stops(day)
    _own_orders(day)
    _amounts_of_money(day)
    _rules(day)
    _times(day)
    _limits(day)
    _small_events(day)
    return day


def _icebergs(day: Day) -> None:
    day.sell("ice", 10, 100, display_quantity=3, post_only=True, user="alice")
    day.sell("plain", 4, 100, user="carol")
    day.amend("plain", display_quantity=1)
    day.buy("whole", 8, 100, time_in_force=TimeInForce.FOK)
    day.buy("too much", 80, 100, time_in_force=TimeInForce.FOK)
    day.amend("ice", display_quantity=1)
    day.amend("ice", display_quantity=2)
    day.sell("large", 5_000, 101, display_quantity=5)
    day.amend("large", display_quantity=4)
    day.amend("large", display_quantity=5_001)
    day.buy("post-only", 1, 100, post_only=True)
    day.cancel_all("alice")
    day.cancel_all("carol")
    day.cancel_all("user")


def _stops(day: Day) -> None:
    """One cascade, with all that can come of a trigger."""
    stop, stop_limit = OrderType.STOP, OrderType.STOP_LIMIT
    day.sell("80", 5, 80)
    day.buy("so 80", 5, 80)  # the last trade's price
    day.buy("rises", 3, None, order_type=stop, stop_price=90)
    day.amend("rises", quantity=2)
    day.amend("rises", quantity=4)
    day.amend("rises", price=90)
    day.sell("falls", 3, 60, order_type=stop_limit, stop_price=70)
    day.amend("falls", price=61)
    day.amend("falls", stop_price=71)
    day.sell("gains", 3, 88, order_type=stop_limit, stop_price=88, take_profit=True)
    day.buy("would take", 2, 95, order_type=stop_limit, stop_price=89, post_only=True)
    day.buy("rests", 2, 70, order_type=stop_limit, stop_price=89)
    day.buy("shows", 9, 71, order_type=stop_limit, stop_price=89, display_quantity=2)
    day.buy(
        "own",
        9,
        None,
        order_type=stop,
        stop_price=92,
        user="maker",
        self_trade_prevention=SelfTradePrevention.CANCEL_TAKER,
    )
    day.buy(
        "less",
        9,
        99,
        order_type=stop_limit,
        stop_price=93,
        user="maker",
        self_trade_prevention=SelfTradePrevention.DECREMENT,
    )
    for price in (88, 90, 92, 94, 96):
        day.sell(f"at {price}", 2, price, user="maker")
    day.amend("at 96", stop_price=50)
    day.buy("at once", 3, None, order_type=stop, stop_price=79)
    day.buy("begins", 3, 92)
    for user in ("user", "maker"):
        day.cancel_all(user)


def _own_orders(day: Day) -> None:
    """Each mode, with less, the same and more of the maker."""
    for mode in SelfTradePrevention:
        for quantity in (3, 5, 7):
            name = f"{mode} {quantity}"
            day.sell(f"maker of {name}", 5, 100, user="one", display_quantity=4)
            day.buy(name, quantity, 100, user="one", self_trade_prevention=mode)
            day.cancel_all("one")


def _amounts_of_money(day: Day) -> None:
    market = {"order_type": OrderType.MARKET}
    day.sell("m", 3 * UNITS_PER_ONE, 2 * UNITS_PER_ONE)
    day.sell("n", 3 * UNITS_PER_ONE, 3 * UNITS_PER_ONE)
    day.buy("spends all", None, None, quote_quantity=4 * UNITS_PER_ONE, **market)
    day.buy("has a rest", None, None, quote_quantity=2 * UNITS_PER_ONE + 1, **market)
    day.buy("of both", UNITS_PER_ONE, None, **market)
    day.buy("finds little", None, None, quote_quantity=9 * UNITS_PER_ONE, **market)
    day.sell("finds nothing", 1, None, **market)
    day.set_rules(max_quantity=10)
    day.sell("o", 100, 1)
    day.amend("finds nothing", quantity=3)
    day.sell("p", 10, 1)
    day.sell("q", 10, 1)
    day.buy("too many", None, None, quote_quantity=1_000, **market)
    day.set_rules()
    day.cancel_all("user")


def _rules(day: Day) -> None:
    rules: dict[str, Any] = {
        "tick_size": 10,
        "lot_size": 5,
        "min_quantity": 10,
        "max_quantity": 50 * UNITS_PER_ONE,
        "min_notional": 100,
        "min_price": 50,
        "max_price": 100 * UNITS_PER_ONE,
        "band_percent": 10 * UNITS_PER_ONE + 1,
        "session_end": 17 * 60 + 5,
    }
    one = UNITS_PER_ONE
    day.set_rules(**rules)
    day.sell("tick", 10, 101)
    day.sell("lot", 11, one)
    day.sell("few", 5, one)
    day.sell("many", 60 * one, one)
    day.sell("worth little", 10, one)
    day.set_rules(max_price=10 * one)
    for price, user in ((2 * one, "maker"), (2 * one + one // 10, "maker"), (3 * one, "maker")):
        day.sell(f"ask {price}", 5 * one, price, user=user)
    day.buy("makes a price", one, 2 * one)
    day.buy("far away", one, one, order_type=OrderType.STOP_LIMIT, stop_price=2 * one + 1)
    day.set_rules(**rules)
    day.sell("low", one, one)
    day.buy("high", one, 90 * one)
    day.buy("to the band", 20 * one, None, order_type=OrderType.MARKET)
    day.set_rules(status=TradingStatus.HALTED)
    day.sell("halted", 1, 1)
    day.amend("ask 300000000", price=1)
    day.set_rules(status=TradingStatus.POST_ONLY)
    day.sell("takes", 1, 1)
    day.set_rules()
    day.sell("s", 5, 100, user="mallory")
    day.sell("t", 5, 100, user="mallory", order_type=OrderType.STOP_LIMIT, stop_price=90)
    day.let_in("mallory", suspended=True)
    day.sell("u", 5, 100, user="mallory")
    day.let_in("mallory")
    day.sell("v", 5, 100, user="mallory")
    day.set_default(**rules, status=TradingStatus.DELISTED)
    day.set_rules(status=TradingStatus.DELISTED)
    day.sell("delisted", 1, 1)
    day.set_rules()
    day.set_default()


def _times(day: Day) -> None:
    def soon(commands: int) -> datetime:
        return seconds(day.commands + commands)

    gtd = {"time_in_force": TimeInForce.GTD}
    day.buy("late", 5, 40, expires_at=soon(0), **gtd)
    day.buy("w", 5, 40, expires_at=soon(2) + timedelta(microseconds=1), **gtd)
    day.sell("meets nothing", 5, 40, at=soon(9))
    day.buy("x", 5, 30, expires_at=soon(12), **gtd)
    day.cancel("x", at=soon(20))
    day.buy("y", 5, 20, time_in_force=TimeInForce.DAY)
    day.buy(
        "z", 5, 60, time_in_force=TimeInForce.DAY, order_type=OrderType.STOP_LIMIT, stop_price=10**9
    )
    day.pass_time(START + timedelta(hours=13))
    day.buy("rests for ever", 5, 20, at=START + timedelta(hours=14))
    day.reset_time(START + timedelta(hours=2))
    day.buy("in the past again", 5, 20, at=START + timedelta(hours=2))


def _limits(day: Day) -> None:
    stop = {"order_type": OrderType.STOP, "stop_price": 10**9}
    day.limit(max_open_orders=3, max_user_stops=1, max_stops=2, max_slices=2, max_parts=3)
    day.buy("two slices", 4, 20, display_quantity=2, user="limited")
    day.buy("three slices", 5, 20, display_quantity=2, user="limited")
    day.amend("two slices", display_quantity=1)
    day.buy("stop", 1, None, user="limited", **stop)
    day.buy("second stop", 1, None, user="limited", **stop)
    day.buy("stop of another", 1, None, user="another", **stop)
    day.buy("third stop of all", 1, None, user="third", **stop)
    day.buy("third order", 1, 20, user="limited")
    day.buy("fourth order", 1, 20, user="limited")
    day.set_default(tick_size=1)
    for user in ("limited", "another", "user"):
        day.cancel_all(user)


def _small_events(day: Day) -> None:
    """What three parts have no room for is left for later."""
    day.set_rules(limits=Limits(max_open_orders=10))
    day.goes_on = False
    day.buy("to move", 1, 50, user="w", post_only=True)
    for number in range(4):
        day.sell(f"ask {number}", 1, 100 + number, user="mm")
    day.buy("too many", 4, 200, time_in_force=TimeInForce.FOK, user="y")
    day.buy("sweeps", 4, 200, user="y")
    day.buy("by money", None, None, order_type=OrderType.MARKET, quote_quantity=1, user="y")
    day.sell("comes before", 1, 90, user="z")
    day.amend("comes before", quantity=2)
    day.amend("to move", price=90)
    day.go_on()
    day.goes_on = True
    day.buy("has a stop", 1, 60, order_type=OrderType.STOP_LIMIT, stop_price=10**9, user="mm")
    for number in range(5):
        day.sell(f"again {number}", 1, 100 + number, user="mm")
    day.buy("a", 2, 101, user="y")
    day.cancel_all("mm")
    for number in range(5):
        day.sell(f"last {number}", 1, 100 + number, user="mm")
    day.set_rules(status=TradingStatus.DELISTED)
    day.set_rules()
    day.buy("rests in the end", 5, 20, user="y")


def long_day(seed: int, commands: int = 500) -> Day:
    """A day of chance, without a failure of the engine."""
    day = Day()
    day.limit(max_open_orders=1_000, max_user_stops=500, max_stops=800, max_slices=999, max_parts=4)
    chance = _Chance(Random(seed), day)
    for number in range(commands):
        chance.act(number)
    return day


class _Chance:
    def __init__(self, random: Random, day: Day) -> None:
        self.random = random
        self.day = day
        self.names: list[str] = []

    def act(self, number: int) -> None:
        random, day = self.random, self.day
        kind = random.random()
        if kind < 0.7 or not self.names:
            self.place(f"order {number}")
        elif kind < 0.8:
            day.cancel(self.name())
        elif kind < 0.95:
            day.amend(
                self.name(),
                price=self.perhaps(0.5, self.price()),
                quantity=self.perhaps(0.5, self.quantity()),
                stop_price=self.perhaps(0.1, self.price()),
                display_quantity=self.perhaps(0.1, self.quantity()),
            )
        elif kind < 0.96:
            day.cancel_all(self.user())
        elif kind < 0.98:
            day.pass_time(seconds(day.commands + 1))
        elif kind < 0.99:
            change = day.set_rules if random.random() < 0.5 else day.set_default
            change(
                tick_size=random.choice([1, 1, 2]),
                band_percent=self.perhaps(0.3, 90 * UNITS_PER_ONE),
                status=random.choice([*[TradingStatus.TRADING] * 16, *TradingStatus]),
            )
        else:
            day.let_in(self.user(), suspended=random.random() < 0.15)

    def place(self, name: str) -> None:
        random = self.random
        self.names.append(name)
        order_type = random.choice([OrderType.LIMIT] * 6 + list(OrderType))
        is_limit = order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        quantity = self.quantity()
        terms: dict[str, Any] = {
            "order_type": order_type,
            "self_trade_prevention": random.choice(
                [SelfTradePrevention.NONE] * 5 + list(SelfTradePrevention)
            ),
        }
        if order_type.is_stop:
            terms |= {"stop_price": self.price(), "take_profit": random.random() < 0.3}
        if order_type is OrderType.LIMIT:
            terms["time_in_force"] = random.choice([TimeInForce.GTC] * 8 + list(TimeInForce))
        if terms.get("time_in_force") is TimeInForce.GTD:
            terms["expires_at"] = seconds(self.day.commands + random.randint(0, 30))
        stays = terms.get("time_in_force") not in {TimeInForce.IOC, TimeInForce.FOK}
        if is_limit and stays:
            terms["post_only"] = random.random() < 0.1
            terms["display_quantity"] = self.perhaps(0.2, -(-quantity // random.randint(1, 9)))
        is_by_money = order_type is OrderType.MARKET and random.random() < 0.5
        if is_by_money:
            terms["quote_quantity"] = random.randint(1, 10**13)
        self.day.place(
            name,
            random.choice(list(Side)),
            None if is_by_money else quantity,
            self.price() if is_limit else None,
            user=self.user(),
            **terms,
        )

    def name(self) -> str:
        return self.random.choice(self.names[-20:])

    def user(self) -> str:
        return self.random.choice(["user", "alice", "bob"])

    def price(self) -> int:
        random = self.random
        return (45_000 + random.randint(-5, 5)) * random.choice([UNITS_PER_ONE, 12_345_678])

    def quantity(self) -> int:
        random = self.random
        return random.choice([random.randint(1, 9) * UNITS_PER_ONE, random.randint(1, 10**10)])

    def perhaps(self, probability: float, amount: int) -> int | None:
        return amount if self.random.random() < probability else None
