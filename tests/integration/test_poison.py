"""What can't be decided is refused; what can't be read stops who has to read it, loudly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import MapperDeserialisationError

from domain.order_book import OrderBook
from domain.values import OrderStatus
from interface.engine import Engine
from system import VIEWS
from tests.integration.conftest import Venue, at_work, has_followed_all
from tests.integration.service import eventually

POISON = 666


@pytest.fixture
def poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order over 666 makes the book raise."""
    place = OrderBook.place

    def fail_on_poison(book: OrderBook, position: int, order: Any, *rules: Any) -> None:
        if order.quantity == POISON:
            raise ZeroDivisionError("poison")
        place(book, position, order, *rules)

    monkeypatch.setattr(OrderBook, "place", fail_on_poison)


def run_until_all_is_followed(venue: Venue) -> None:
    with at_work(Engine(venue.env)):
        eventually(lambda: has_followed_all(venue.market), 60)


@pytest.mark.parametrize("around", [3, 80])
def test_poison_in_the_middle_of_a_batch_is_refused_and_its_neighbours_trade(
    venue: Venue, poisonous: None, around: int
) -> None:
    before = [venue.buy(100, 5) for _ in range(around)]
    poison = [venue.sell(100, POISON), venue.sell(100, POISON)]
    after = [venue.sell(100, 5) for _ in range(around)]
    run_until_all_is_followed(venue)

    def statuses(ids: list[UUID]) -> set[OrderStatus]:
        return {venue.market.orders.get(order_id).status for order_id in ids}

    assert statuses(before) == statuses(after) == {OrderStatus.FILLED}
    assert statuses(poison) == {OrderStatus.REJECTED}
    assert {venue.market.orders.get(order_id).reason for order_id in poison} == {"INTERNAL_ERROR"}
    assert len(venue.market.trade_view.recorder.trades(limit=1000)) == around
    assert venue.difference() is None


@contextmanager
def damaged(venue: Venue, table: str, position: int) -> Iterator[None]:
    """An event that nobody can read, until it is mended."""
    where = f"WHERE notification_id = {position}"
    venue.execute(f"CREATE TABLE good AS SELECT state FROM {table} {where}")
    venue.execute(f"UPDATE {table} SET state = 'no' {where}")
    yield
    venue.execute(f"UPDATE {table} SET state = (SELECT state FROM good) {where}")


@pytest.mark.parametrize(
    ("table", "position", "what"),
    [("orders_events", 3, "order.placed"), ("matching_events", 3, "book.matched")],
)
def test_an_engine_stops_with_an_event_that_it_can_t_read_and_goes_on_once_it_is_mended(
    venue: Venue, table: str, position: int, what: str
) -> None:
    """Nothing can be decided after a command that nobody knows: whatever it was, it came first."""
    for _ in range(3):
        venue.buy(100, 5)
    if table == "matching_events":
        venue.market.matching.pull_and_process("Orders")
    with damaged(venue, table, position):
        for _ in range(3):
            venue.sell(100, 5)
        for _ in range(2):  # it is no use to start it again
            engine = Engine(venue.env)
            with (
                pytest.raises(MapperDeserialisationError, match=f"^{what} .* can't be read"),
                at_work(engine),
            ):
                eventually(engine._stopping.is_set, 60)
        # Whatever was behind it is as it was.
        follower = venue.market.matching if table == "orders_events" else venue.market.orders
        [leader] = follower.readers
        assert (follower.recorder.max_tracking_id(leader) or 0) < position
    run_until_all_is_followed(venue)
    assert venue.difference() is None
    assert len(venue.market.trade_view.recorder.trades(limit=10)) == 3


def test_a_view_shows_what_comes_before_an_event_that_it_can_t_read_and_parks(
    venue: Venue,
) -> None:
    for _ in range(3):
        venue.buy(100, 5)
    venue.settle()
    venue.buy(101, 5)
    venue.buy(102, 5)
    with damaged(venue, "orders_events", 8):  # three orders, their outcomes, and the first of two
        views = Engine(venue.env, names=[view.name for view in VIEWS.values()])
        view = venue.market.order_view.recorder
        with at_work(views):  # it stands still, and has not failed
            eventually(lambda: view.parked() is not None, 60)
        parked = view.parked()
        assert parked is not None
        assert parked.startswith("Orders 8, order.placed: MapperDeserialisationError: order.placed")
        assert view.max_tracking_id("Orders") == 7
        assert [row.price for row in view.orders(limit=10)] == [101, 100, 100, 100]
    run_until_all_is_followed(venue)
    assert view.parked() is None
    assert venue.difference() is None
