"""The events of an order are made without its aggregate, from the facts that it is known by."""

from uuid import UUID

from domain.live_order import LiveOrder
from domain.order import Order
from domain.values import OrderStatus, Side, Terms
from tests.domain.support import seconds

TERMS = Terms("user", "BTC-USD", Side.BUY, 100, 5)
OPENED = {"book_version": 3, "status": OrderStatus.OPEN, "timestamp": seconds(2)}


def facts(live: LiveOrder) -> dict[str, object]:
    return {name: getattr(live, name) for name in LiveOrder.__slots__}


def test_a_placing_and_its_aggregate_give_the_same_facts() -> None:
    order = Order.place(UUID(int=1), TERMS, seconds(1))
    placing = order.pending_events[0]
    assert isinstance(placing, Order.Created)
    assert facts(placing.live()) == facts(order.live())


def test_an_event_is_the_one_that_the_aggregate_records() -> None:
    order = Order.place(UUID(int=1), TERMS, seconds(1))
    made = order.live().next_event(Order.Opened, dict(OPENED))
    order.record(Order.Opened, **OPENED)
    assert made == order.pending_events[-1]


def test_after_an_event_the_facts_are_those_of_the_aggregate_after_it() -> None:
    order = Order.place(UUID(int=1), TERMS, seconds(1))
    live = order.live()
    live.next_event(Order.Opened, dict(OPENED))
    order.record(Order.Opened, **OPENED)
    assert facts(live) == facts(order.live())


def test_a_status_that_is_not_told_stays() -> None:
    live = LiveOrder(UUID(int=1), "user", "BTC-USD", 2, 3, OrderStatus.OPEN)
    event = live.next_event(Order.Triggered, {"book_version": 4})
    assert event is not None
    assert (event.status, live.status) == (OrderStatus.OPEN, OrderStatus.OPEN)


def test_a_decision_that_it_has_had_makes_no_event_and_changes_nothing() -> None:
    live = LiveOrder(UUID(int=1), "user", "BTC-USD", 2, 3, OrderStatus.OPEN)
    before = facts(live)
    assert live.next_event(Order.Filled, {"book_version": 3, "status": OrderStatus.FILLED}) is None
    assert facts(live) == before
