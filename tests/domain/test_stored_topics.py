"""What is stored outlives the code: names of events never change by accident.

And what is stored gives the same state whenever it is read: the model has no clock, no
chance and no float in it.
"""

import ast
import dataclasses
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import eventsourcing.domain
import pytest
from eventsourcing.domain import CanMutateAggregate
from eventsourcing.utils import get_topic, resolve_topic

import domain
from domain.aggregate import Aggregate
from domain.errors import RejectReason
from domain.order import Order
from domain.order_book import OrderBook
from domain.values import Side, Terms, TimeInForce
from tests.domain.support import Exchange, order_id, request_id, seconds

MODULES = [
    importlib.import_module(f"domain.{module.name}")
    for module in pkgutil.iter_modules(domain.__path__)
]
SOURCES = sorted(Path(domain.__path__[0]).rglob("*.py"))

# Every name that can stand in a store. Adding one is fine; a name that changes or goes
# makes what users have stored unreadable.
TOPICS = {
    "order": "domain.order:Order",
    "order.placed": "domain.order:Order.Created",
    "order.decided": "domain.order:Order.Decided",
    "order.opened": "domain.order:Order.Opened",
    "order.traded": "domain.order:Order.Traded",
    "order.filled": "domain.order:Order.Filled",
    "order.decremented": "domain.order:Order.Decremented",
    "order.triggered": "domain.order:Order.Triggered",
    "order.expired": "domain.order:Order.Expired",
    "order.rejected": "domain.order:Order.Rejected",
    "order.cancelled": "domain.order:Order.Cancelled",
    "order.replaced": "domain.order:Order.Replaced",
    "order.request_refused": "domain.order:Order.RequestRefused",
    "book": "domain.order_book:OrderBook",
    "book.opened": "domain.order_book:OrderBook.Created",
    "book.decided": "domain.decisions:Decided",
    "book.arrived": "domain.decisions:Arrived",
    "book.matched": "domain.decisions:Matched",
    "book.cancelled": "domain.decisions:Cancelled",
    "book.reduced": "domain.decisions:Reduced",
    "book.replaced": "domain.decisions:Replaced",
    "book.refused": "domain.decisions:Refused",
    "book.mass_cancelled": "domain.decisions:MassCancelled",
    "book.expired": "domain.decisions:Expired",
    "book.instrument_changed": "domain.decisions:InstrumentChanged",
    "book.time_reset": "domain.decisions:TimeReset",
    "book.continued": "domain.decisions:Continued",
    "continuation_request": "domain.requests:ContinuationRequest",
    "request.continue": "domain.requests:ContinuationRequest.Created",
    "cancel_request": "domain.requests:CancelRequest",
    "request.cancel": "domain.requests:CancelRequest.Created",
    "replace_request": "domain.requests:ReplaceRequest",
    "request.replace": "domain.requests:ReplaceRequest.Created",
    "mass_cancel_request": "domain.requests:MassCancelRequest",
    "request.mass_cancel": "domain.requests:MassCancelRequest.Created",
    "expiry_request": "domain.requests:ExpiryRequest",
    "request.expiry": "domain.requests:ExpiryRequest.Created",
    "instrument_request": "domain.requests:InstrumentRequest",
    "request.instrument": "domain.requests:InstrumentRequest.Created",
    "time_request": "domain.requests:TimeRequest",
    "request.time": "domain.requests:TimeRequest.Created",
    "limits_request": "domain.requests:LimitsRequest",
    "request.limits": "domain.requests:LimitsRequest.Created",
    "user_request": "domain.requests:UserRequest",
    "request.user": "domain.requests:UserRequest.Created",
    "venue": "domain.venue:Venue",
    "venue.opened": "domain.venue:Venue.Created",
    "venue.default_changed": "domain.venue:Venue.DefaultChanged",
    "venue.user_changed": "domain.venue:Venue.UserChanged",
}
# What opens a book or the venue is nobody's; a decision is never alone.
NOBODYS = {"Decided", "OrderBook.Created", "Venue.Created"}


def aggregates() -> list[type[Aggregate]]:
    return [
        member
        for module in MODULES
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Aggregate)
        and member is not Aggregate
        and member.__module__ == module.__name__
    ]


def events() -> list[type[Any]]:
    """All but those named ``Event``: the library forbids to record one of these."""
    return [
        member
        for aggregate in aggregates()
        for name, member in vars(aggregate).items()
        if isinstance(member, type) and issubclass(member, CanMutateAggregate) and name != "Event"
    ]


def test_the_topics_are_exactly_these() -> None:
    assert {
        get_topic(stored): f"{stored.__module__}:{stored.__qualname__}"
        for stored in [*aggregates(), *events()]
    } == TOPICS


@pytest.mark.parametrize("stored", [*aggregates(), *events()], ids=lambda it: it.__qualname__)
def test_each_class_says_its_own_topic_and_is_found_by_it(stored: type[Any]) -> None:
    # The library makes a class of the same name of each "created" event, below ours.
    named = next(each for each in stored.__mro__ if "TOPIC" in vars(each))
    assert named.__qualname__ == stored.__qualname__, "the topic is inherited"
    assert resolve_topic(stored.TOPIC) is stored


@pytest.mark.parametrize("event", events(), ids=lambda it: it.__qualname__)
def test_an_event_cannot_be_changed_once_it_is_made(event: type[Any]) -> None:
    assert event.__dataclass_params__.frozen


@pytest.mark.parametrize("event", events(), ids=lambda it: it.__qualname__)
def test_events_carry_asset_and_user(event: type[Any]) -> None:
    fields = {field.name for field in dataclasses.fields(event)}
    assert "asset" in fields
    assert ("user_id" in fields) == (event.__qualname__ not in NOBODYS)


def test_the_names_of_the_book_are_those_of_its_decisions() -> None:
    for event in events():
        if event.__module__ == "domain.decisions":
            assert getattr(OrderBook, event.__qualname__) is event
            assert OrderBook.Decided in event.__mro__


# What the model may use.


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.name}: imports are absolute"
            yield str(node.module)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_model_imports_the_standard_library_and_the_library_of_aggregates_only(
    source: Path,
) -> None:
    strangers = {
        module
        for module in imported(source)
        if module.partition(".")[0] not in {"domain", *sys.stdlib_module_names}
    }
    assert strangers <= {"eventsourcing.domain"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_model_does_not_reach_outside_of_itself(source: Path) -> None:
    outside = {"asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "socket"}
    outside |= {"subprocess", "threading", "time"}
    assert not {module.partition(".")[0] for module in imported(source)} & outside


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_model_has_no_clock_no_chance_and_no_float(source: Path) -> None:
    clock = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}
    clock |= {"create_timestamp", "datetime_now_with_tzinfo", "fromtimestamp"}
    chance = {"uuid1", "uuid4", "uuid6", "uuid7", "create_id", "urandom"}
    floats = {"float", "round", "truediv", "sqrt", "fsum"}
    outside = {"open", "print", "input", "environ", "getenv", "hash", "id"}
    for node in ast.walk(ast.parse(source.read_text())):
        where = f"{source.name}:{getattr(node, 'lineno', '')}"
        match node:
            case ast.Name(id=name):
                assert name not in clock | chance | floats | outside, where
            case ast.Attribute(attr=name):
                assert name not in clock | chance | floats | (outside - {"id"}), where
            case ast.Constant(value=float()):
                pytest.fail(f"{where}: a float")
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                pytest.fail(f"{where}: / gives a float, use divmod or //")
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                assert not {name.name for name in names} & (clock | chance), where


def test_nothing_asks_the_clock_or_draws_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("time and ids come in as arguments")

    monkeypatch.setattr(eventsourcing.domain, "datetime_now_with_tzinfo", refuse)
    monkeypatch.setattr(eventsourcing.domain, "uuid4", refuse)
    exchange = Exchange()
    exchange.sell("a", 5, 100)
    exchange.buy("b", 7, 100)
    exchange.buy("c", 7, 100, time_in_force=TimeInForce.IOC)
    exchange.amend("b", quantity=6)
    exchange.amend("b", price=101)
    exchange.amend("b", quantity=1)
    exchange["b"].request_cancel(request_id(50), seconds(50))
    exchange["b"].request_replace(request_id(51), seconds(51), price=1, quantity=1)
    exchange.cancel("b")
    exchange.cancel("b")
    poison = Order.place(order_id("p"), Terms("u", "BTC-USD", Side.BUY, 1, 1), seconds(99))
    exchange.refuse(poison.pending_events[0], RejectReason.INTERNAL_ERROR)
    assert exchange.book.version == 9
