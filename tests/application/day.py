"""Days at an exchange whose two logs are kept, with every event that there can be."""

from random import Random
from typing import Any

from application.matching import COMMANDS
from application.persistence.log import Entry
from domain.errors import RejectReason
from domain.requests import CancelRequest
from domain.values import MAX_AMOUNT, UNITS_PER_ONE, Side, Terms, TimeInForce
from tests.domain.support import Command, Event, Exchange, order_id, request_id, seconds

_MOST = MAX_AMOUNT * UNITS_PER_ONE


class Day(Exchange):
    """Its logs are events with their positions; an outcome has that of its command."""

    def __init__(self) -> None:
        super().__init__()
        self.orders_log: list[Entry] = []

    @property
    def book_log(self) -> list[Entry]:
        return list(enumerate(self.events, start=1))

    @property
    def commands_log(self) -> list[Entry]:
        return [entry for entry in self.orders_log if isinstance(entry[1], COMMANDS)]

    def cancel_request(self, *args: Any) -> Command:
        return self._asked(super().cancel_request(*args))

    def replace_request(self, *args: Any) -> Command:
        return self._asked(super().replace_request(*args))

    def _asked(self, request: Command) -> Command:
        self.orders_log.append((self.position, request))
        return request

    def _new(self) -> list[Event]:
        events = super()._new()
        for outcome in self.outcomes:
            if order := self.orders.get(outcome.order_id):
                self.orders_log += [(self.position, event) for event in order.collect_events()]
        return events


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
    day.amend("c", price=99)
    day.cancel("c")
    day.cancel("c")
    named = Terms("u", day.asset, Side.BUY, 1, 1, client_order_id="c-1")
    day.refuse(day.new_order("h", named, seconds(50)), RejectReason.INTERNAL_ERROR)
    request = CancelRequest.make(
        request_id(51), user_id="u", asset=day.asset, order_id=order_id("f"), time=seconds(51)
    )
    day.refuse(request.collect_events()[0], RejectReason.INTERNAL_ERROR)
    return day


def long_day(seed: int, commands: int = 500) -> Day:
    """A day of chance, without a failure of the engine."""
    random, day = Random(seed), Day()
    names: list[str] = []
    for number in range(commands):
        kind = random.random()
        side = random.choice(list(Side))
        price = (45_000 + random.randint(-5, 5)) * random.choice([UNITS_PER_ONE, 12_345_678])
        quantity = random.choice([random.randint(1, 9) * UNITS_PER_ONE, random.randint(1, 10**10)])
        if kind < 0.6 or not names:
            names.append(f"order {number}")
            time_in_force = TimeInForce.IOC if random.random() < 0.15 else TimeInForce.GTC
            day.place(names[-1], side, quantity, price, time_in_force=time_in_force)
        elif kind < 0.7:
            day.cancel(random.choice(names[-20:]))
        else:
            day.amend(
                random.choice(names[-20:]),
                price=random.choice([None, price]),
                quantity=random.choice([None, quantity]),
            )
    return day
