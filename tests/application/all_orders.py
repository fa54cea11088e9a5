"""Days of chance at an exchange with orders of all kinds; its logs are events in their order."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from application.persistence.log import Entry
from domain.instrument import TradingStatus
from domain.order_book import OrderBook
from domain.values import OrderType, SelfTradePrevention, Side, TimeInForce
from tests.domain.support import Command, Event, Exchange, seconds

T = TypeVar("T")

STAYING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)


class Venue(Exchange):
    """Its ``log`` has what the order view follows: orders, requests, and the decisions of them."""

    def __init__(self, asset: str) -> None:
        super().__init__(asset)
        self.log: list[Event] = []
        self.placed: list[str] = []

    def new_order(self, *args: Any) -> Command:
        return self._asked(super().new_order(*args))

    def cancel_request(self, *args: Any) -> Command:
        return self._asked(super().cancel_request(*args))

    def replace_request(self, name: str, time: datetime, **changes: int | None) -> Command:
        return self._asked(super().replace_request(name, time, **changes))

    def _asked(self, command: Command) -> Command:
        self.log.append(command)
        return command

    def _new(self) -> list[Event]:
        events = super()._new()
        self.log += events
        return events


def all_kinds(seed: int, asset: str = "BTC-USD", commands: int = 400) -> Venue:
    """Few prices and users: orders meet, and what is asked about them comes too late as well."""
    random, venue = Random(f"{asset} {seed}"), Venue(asset)
    passed = 0
    for number in range(commands):
        passed += random.choice([1] * 30 + [200, 20_000])
        at = seconds(number + passed)
        names = venue.placed[-25:]
        match random.choices(KINDS, WEIGHTS)[0] if names else "place":
            case "place":
                venue.placed.append(f"{asset} {number}")
                _place(venue, random, at)
            case "cancel":
                venue.cancel(random.choice(names), at=at)
            case "amend":
                changes = {
                    name: random.choice([None, amount])
                    for name, amount in {
                        "price": random.randint(97, 103),
                        "quantity": random.randint(1, 12),
                        "stop_price": random.randint(97, 103),
                        "display_quantity": random.randint(1, 3),
                    }.items()
                    if random.random() < 0.5
                }
                venue.amend(random.choice(names), at=at, **changes)
            case "cancel all":
                venue.cancel_all(f"user {random.randint(1, 4)}", at=at)
            case "time":
                venue.pass_time(at)
            case "rules":
                status = random.choice([TradingStatus.TRADING] * 3 + list(TradingStatus))
                venue.set_rules(at, lot_size=random.choice([1, 1, 2]), status=status)
                venue.set_rules(at, max_price=random.choice([None, 102]))
    return venue


KINDS = ("place", "cancel", "amend", "cancel all", "time", "rules")
WEIGHTS = (65, 6, 22, 1, 2, 1)


def _place(venue: Venue, random: Random, at: datetime) -> None:
    side = random.choice(list(Side))
    price, quantity = random.randint(97, 103), random.randint(1, 9)
    terms: dict[str, Any] = {
        "user": f"user {random.randint(1, 4)}",
        "self_trade_prevention": random.choice([SelfTradePrevention.NONE, *SelfTradePrevention]),
        "at": at,
    }
    kind = random.choice([OrderType.LIMIT] * 4 + list(OrderType))
    staying = random.choice(STAYING)
    if kind is OrderType.MARKET:
        if random.random() < 0.5:
            venue.place(
                venue.placed[-1], side, None, None, order_type=kind, quote_quantity=3, **terms
            )
            return
        venue.place(venue.placed[-1], side, quantity, None, order_type=kind, **terms)
        return
    if kind.is_stop:
        terms["stop_price"] = random.randint(97, 103)
        terms["take_profit"] = random.random() < 0.3
    else:
        staying = random.choice([staying, staying, staying, TimeInForce.IOC, TimeInForce.FOK])
    terms["time_in_force"] = staying
    if staying is TimeInForce.GTD:
        terms["expires_at"] = at + timedelta(seconds=random.randint(-1, 60))
    if kind is not OrderType.STOP and staying in STAYING:
        terms["display_quantity"] = random.choice([None, random.randint(1, min(3, quantity))])
        terms["post_only"] = random.random() < 0.1
    venue.place(
        venue.placed[-1],
        side,
        quantity,
        None if kind is OrderType.STOP else price,
        order_type=kind,
        **terms,
    )


def mixed(seed: int, *logs: Sequence[Event]) -> list[Entry]:
    """One log of several, in which each keeps its order."""
    random = Random(seed)
    waiting = [list(reversed(log)) for log in logs]
    entries: list[Entry] = []
    while rest := [log for log in waiting if log]:
        entries.append((len(entries) + 1, random.choice(rest).pop()))
    return entries


def batches(entries: Sequence[T], seed: int, most: int) -> Iterator[Sequence[T]]:
    """All of it, so many at a time, up to ``most``."""
    random, start = Random(seed), 0
    while start < len(entries):
        end = start + random.randint(1, most)
        yield entries[start:end]
        start = end


def replay(entries: Sequence[Entry], books: dict[str, OrderBook]) -> None:
    """Brings books up to date."""
    for _, event in entries:
        books[event.asset] = event.mutate(books.get(event.asset))
