"""Our aggregates make events in one step; they are those that the library would make."""

from typing import Any
from uuid import UUID

from eventsourcing.domain import Aggregate as LibraryAggregate

from domain.order import Order
from domain.requests import CancelRequest
from domain.values import OrderStatus, Side, Terms
from tests.domain.support import seconds

TERMS = Terms("user", "BTC-USD", Side.BUY, 100, 5)


def placed() -> Order:
    return Order.place(UUID(int=1), TERMS, seconds(1))


def order_request() -> CancelRequest:
    return placed().request_cancel(UUID(int=3), seconds(2))


def test_a_first_event_is_the_one_that_the_library_makes() -> None:
    order = placed()
    [ours] = order.collect_events()
    assert ours == type(ours)(**vars(ours))
    made = ours.mutate(None)
    assert made == order
    assert (made.id, made.version, made.terms) == (UUID(int=1), 1, TERMS)
    assert (made.created_on, made.modified_on) == (seconds(1), seconds(1))
    assert made.collect_events() == []


def test_an_aggregate_begins_as_the_library_begins_it() -> None:
    """Order alone begins in its own way: its terms are many."""
    request = order_request()
    [ours] = request.collect_events()
    assert ours == type(ours)(**vars(ours))
    begun: Any = LibraryAggregate.Created.mutate(ours, None)
    assert begun == ours.mutate(None) == request


def test_a_later_event_is_the_one_that_the_library_makes() -> None:
    order, same = placed(), placed()
    facts = {"book_version": 1, "status": OrderStatus.OPEN, "timestamp": seconds(2)}
    facts |= {"user_id": "user", "asset": "BTC-USD"}
    order.trigger_event(Order.Opened, **facts)
    LibraryAggregate.trigger_event(same, Order.Opened, **facts)
    assert order == same
    assert order.collect_events() == same.collect_events()
    assert order.modified_on == seconds(2)


def test_an_event_that_is_not_the_next_one_is_refused_as_the_library_refuses_it() -> None:
    order, other = placed(), Order.place(UUID(int=2), TERMS, seconds(1))
    order.record(Order.Opened, book_version=1, status=OrderStatus.OPEN, timestamp=seconds(2))
    opened: Any = order.collect_events()[-1]
    for aggregate in (order, other):  # it has had it; it is another's
        errors = []
        for mutate in (type(opened).mutate, LibraryAggregate.Event.mutate):
            try:
                mutate(opened, aggregate)
            except Exception as error:  # noqa: BLE001 - which one is what is compared
                errors.append((type(error), error.args))
        ours, theirs = errors
        assert ours == theirs
