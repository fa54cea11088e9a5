"""What one event has no room for is gone on with, command by command, and all of it verifies."""

import time
from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

import pytest

from application.orders import Placement
from domain.instrument import Limits, TradingStatus
from domain.requests import LimitsRequest
from domain.values import ALL_ASSETS, OrderStatus, OrderType, Side, Terms, TimeInForce
from interface.engine import Engine
from system import followings
from tests.integration.conftest import Venue, at_work, has_followed_all
from tests.integration.service import eventually

PARTS = 4


@pytest.fixture
def bounded(venue: Venue) -> Venue:
    """A venue where an event has few parts."""
    bound = LimitsRequest.make(
        uuid4(),
        user_id="engine",
        asset=ALL_ASSETS,
        limits=Limits(max_parts=PARTS),
        time=venue.tick(),
    )
    venue.market.orders.ask(bound)
    return venue


def topics(venue: Venue, log: str) -> list[str]:
    application = getattr(venue.market, log)
    notifications = application.notification_log.select(start=1, limit=10_000)
    return [each.topic for each in notifications]


def statuses(venue: Venue, ids: list[UUID]) -> set[str]:
    rows = [venue.market.order_view.recorder.order(order_id) for order_id in ids]
    return {row.status for row in rows if row is not None}


def test_a_mass_cancel_leaves_in_several_events(bounded: Venue) -> None:
    ids = [bounded.buy(90 + number, 1, user_id="mine") for number in range(11)]
    bounded.sell(200, 5)
    bounded.settle()
    bounded.cancel_all("mine")
    bounded.market.matching.process_batch("Orders", limit=1)
    bounded.sell(95, 3)  # it comes before the rest of the departures, and trades with none of them
    bounded.settle()
    assert statuses(bounded, ids) == {OrderStatus.CANCELLED}
    assert topics(bounded, "matching")[-4:] == [
        "book.mass_cancelled",
        "book.matched",
        "book.continued",
        "book.continued",
    ]
    assert topics(bounded, "orders").count("request.continue") == 2
    assert bounded.difference() is None


def test_what_continues_a_decision_has_not_waited_since_then(bounded: Venue) -> None:
    for number in range(11):
        bounded.buy(90 + number, 1, user_id="mine")
    bounded.settle()
    bounded.cancel_all("mine")
    matching, orders = bounded.market.matching, bounded.market.orders
    matching.process_batch("Orders")
    orders.process_batch("Matching")
    later = bounded.now + timedelta(minutes=1)
    assert [each.topic for each in matching.pending("Orders", 10)] == ["request.continue"]
    assert matching.lags("Orders", later) == [timedelta(0)]
    bounded.sell(95, 3)
    assert matching.lags("Orders", later) == [later - bounded.now]
    matching.process_batch("Orders", limit=1)
    assert [each.topic for each in orders.pending("Matching", 10)] == ["book.continued"]
    assert orders.lags("Matching", later) == [timedelta(0)]
    bounded.settle()
    assert bounded.difference() is None


def test_a_sweep_and_its_cascade_go_on_in_later_events(bounded: Venue) -> None:
    makers = [bounded.sell(100 + number, 1, user_id="maker") for number in range(9)]
    stops = [
        bounded.buy(None, 1, order_type=OrderType.STOP, stop_price=101 + number)
        for number in range(5)
    ]
    taker = bounded.buy(103, 4, user_id="taker")
    bounded.settle()
    assert statuses(bounded, [taker, *stops, *makers]) == {OrderStatus.FILLED}
    assert "book.continued" in topics(bounded, "matching")
    assert bounded.difference() is None


def test_orders_that_expire_at_once_leave_in_several_events(bounded: Venue) -> None:
    end = bounded.now + timedelta(seconds=60)
    gtd = {"time_in_force": TimeInForce.GTD, "expires_at": end}
    ids = [bounded.buy(90, 1, **gtd) for _ in range(9)]
    bounded.settle()
    bounded.pass_time("BTC-USD", end)
    bounded.settle()
    assert statuses(bounded, ids) == {OrderStatus.EXPIRED}
    assert bounded.difference() is None


@pytest.mark.parametrize("seed", range(2))
def test_a_day_of_small_events_verifies_at_every_moment(bounded: Venue, seed: int) -> None:
    random = Random(seed)
    placed: list[UUID] = []
    pairs = followings(bounded.market)
    for step in range(240):
        user = random.choice(["a", "b", "c"])
        match random.choices(["place", "stop", "cancel", "all", "rules"], (60, 15, 8, 4, 1))[0]:
            case "place":
                price = None if random.random() < 0.15 else 100 + random.randint(-4, 4)
                now = TimeInForce.IOC if price is None else TimeInForce.GTC
                kind = OrderType.MARKET if price is None else OrderType.LIMIT
                side, quantity = random.choice(list(Side)), random.randint(1, 9)
                placed.append(
                    bounded.place(
                        side, price, quantity, user_id=user, order_type=kind, time_in_force=now
                    ).order.id
                )
            case "stop":
                side, price = random.choice(list(Side)), 100 + random.randint(-4, 4)
                stop = {"order_type": OrderType.STOP, "stop_price": price}
                placed.append(bounded.place(side, None, 3, user_id=user, **stop).order.id)
            case "all":
                bounded.cancel_all(user)
            case "rules":
                bounded.set_rules("BTC-USD", status=TradingStatus.DELISTED)
                bounded.set_rules("BTC-USD")
            case _ if placed and statuses(bounded, placed[-1:]) & {"OPEN", "PARTIALLY_FILLED"}:
                bounded.market.orders.cancel(placed[-1], uuid4(), bounded.tick())
        for _ in range(random.randint(0, 3)):
            follower, leader = random.choice(pairs)
            follower.process_batch(leader, limit=random.choice([1, 3, 500]))
        if step % 20 == 0:
            assert bounded.difference() is None
    bounded.settle()
    assert bounded.difference() is None
    assert topics(bounded, "orders").count("request.continue") > 5


def test_an_engine_that_forgets_all_between_two_events_goes_on(bounded: Venue) -> None:
    for number in range(9):
        bounded.sell(100 + number, 1, user_id="maker")
    taker = bounded.buy(108, 9, user_id="taker")
    pairs = followings(bounded.market)
    while sum(follower.process_batch(leader, limit=1) for follower, leader in pairs):
        for follower, _ in pairs:
            follower.forget()
    assert statuses(bounded, [taker]) == {OrderStatus.FILLED}
    assert topics(bounded, "orders").count("request.continue") == 2
    assert bounded.difference() is None


def test_the_engine_goes_on_at_once(bounded: Venue) -> None:
    """Each step wakes the next: looking every second would take half a minute."""
    placements = [
        Placement(uuid4(), Terms("mine", "BTC-USD", Side.BUY, 90 + number % 9, 1))
        for number in range(PARTS * 40)
    ]
    bounded.market.orders.place_all(placements, bounded.tick())
    with at_work(Engine(bounded.env)):
        eventually(lambda: has_followed_all(bounded.market), 60)
        bounded.cancel_all("mine")
        begun = time.monotonic()
        eventually(
            lambda: (
                topics(bounded, "matching").count("book.continued") == 39
                and has_followed_all(bounded.market)
            ),
            60,
        )
        assert time.monotonic() - begun < 20
    assert statuses(bounded, [each.order_id for each in placements]) == {OrderStatus.CANCELLED}
    assert bounded.difference() is None
