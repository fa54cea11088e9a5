"""What is asked about all assets at once reaches each book at its place, also in parts."""

import random
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from application import matching
from domain.errors import RejectReason
from domain.instrument import TradingStatus
from domain.order_book import OrderBook
from domain.requests import MassCancelRequest
from domain.values import OrderStatus, OrderType, TimeInForce
from domain.venue import Venue as VenueRules
from system import build
from tests.integration.conftest import Venue, patient
from tests.integration.test_partitions import ASSETS, follow_in_parts, settle_in_parts


def status(venue: Venue, order_id: UUID) -> OrderStatus:
    return venue.market.orders.get(order_id).status


def decisions(venue: Venue, kind: type) -> list[str]:
    """The assets of the books, or of the venue, that recorded an event of a kind."""
    log = venue.market.matching.notification_log
    mapper = venue.market.matching.mapper
    found = [mapper.to_domain_event(each) for each in log.select(None, 10_000)]
    return [event.asset for event in found if isinstance(event, kind)]  # type: ignore[attr-defined]


def test_a_mass_cancel_is_one_event_in_each_book_that_it_touches(venue: Venue) -> None:
    mine = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS[:2]]
    other = venue.buy(90, 1, asset=ASSETS[0], user_id="other")
    venue.buy(90, 1, asset=ASSETS[2], user_id="other")
    venue.cancel_all("mine")
    venue.settle()
    assert [status(venue, order_id) for order_id in mine] == ["CANCELLED", "CANCELLED"]
    assert status(venue, other) == "OPEN"
    assert decisions(venue, OrderBook.MassCancelled) == list(ASSETS[:2])
    assert venue.difference() is None


def test_books_that_are_not_in_memory_are_reached_as_well(venue: Venue) -> None:
    mine = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    venue.settle()
    with closing(build(patient(venue.env))) as started_anew:
        venue.cancel_all("mine")
        started_anew.matching.pull_and_process("Orders")
    venue.settle()
    assert {status(venue, order_id) for order_id in mine} == {OrderStatus.CANCELLED}
    assert venue.difference() is None


def test_a_suspended_user_is_refused_in_every_book_until_let_in_again(venue: Venue) -> None:
    before = venue.buy(90, 1, user_id="mine")
    venue.suspend("mine")
    during = venue.buy(90, 1, asset="ETH-USD", user_id="mine")
    venue.suspend("mine", is_suspended=False)
    after = venue.buy(90, 1, asset="ETH-USD", user_id="mine")
    venue.settle()
    assert status(venue, before) == "CANCELLED"
    assert status(venue, during) == "REJECTED"
    assert venue.market.orders.get(during).reason == RejectReason.USER_SUSPENDED
    assert status(venue, after) == "OPEN"
    assert venue.difference() is None


def test_what_held_is_known_after_a_start(venue: Venue) -> None:
    venue.suspend("mine")
    venue.set_rules(lot_size=5)
    venue.settle()
    with closing(build(patient(venue.env))) as started_anew:
        mine = venue.buy(90, 5, user_id="mine")
        broken = venue.buy(90, 4, user_id="other")
        started_anew.matching.pull_and_process("Orders")
    venue.settle()
    assert venue.market.orders.get(mine).reason == RejectReason.USER_SUSPENDED
    order = venue.market.orders.get(broken)
    assert (order.reason, order.limit) == (RejectReason.LOT_SIZE, 5)
    assert venue.difference() is None


def test_a_default_that_is_delisted_cancels_what_has_no_rules_of_its_own(venue: Venue) -> None:
    venue.set_rules("BTC-USD", tick_size=1)
    listed = venue.buy(90, 1, asset="BTC-USD")
    unlisted = venue.buy(90, 1, asset="ETH-USD")
    venue.set_rules(status=TradingStatus.DELISTED)
    late = venue.buy(90, 1, asset="SOL-USD")
    venue.settle()
    assert [status(venue, each) for each in (listed, unlisted, late)] == [
        "OPEN",
        "CANCELLED",
        "REJECTED",
    ]
    assert venue.difference() is None


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_in_parts_each_book_is_reached_once_and_at_its_own_time(venue: Venue, behind: int) -> None:
    """A worker that is behind decides by what held then, not by what was asked since."""
    mine = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    venue.suspend("mine")
    during = [venue.buy(91, 1, asset=asset, user_id="mine") for asset in ASSETS]
    venue.suspend("mine", is_suspended=False)
    after = [venue.buy(92, 1, asset=asset, user_id="mine") for asset in ASSETS]
    ahead = [partition for partition in range(3) if partition != behind]
    follow_in_parts(venue.market.matching, "Orders", ahead)
    with closing(build(patient(venue.env))) as another:
        follow_in_parts(another.matching, "Orders", [behind])
    settle_in_parts(venue)
    for orders, fate in ((mine, "CANCELLED"), (during, "REJECTED"), (after, "OPEN")):
        assert {status(venue, order_id) for order_id in orders} == {fate}
    assert decisions(venue, VenueRules.UserChanged) == ["*", "*"]
    assert venue.difference() is None


def test_parts_that_are_behind_catch_up_with_what_is_for_all(venue: Venue) -> None:
    mine = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    follow_in_parts(venue.market.matching, "Orders", [0])
    venue.cancel_all("mine")
    late = [venue.buy(91, 1, asset=asset, user_id="mine") for asset in ASSETS]
    follow_in_parts(venue.market.matching, "Orders", [1])
    venue.settle()
    assert {status(venue, order_id) for order_id in mine} == {OrderStatus.CANCELLED}
    assert {status(venue, order_id) for order_id in late} == {OrderStatus.OPEN}
    assert venue.difference() is None


def ask_anything(venue: Venue, chance: random.Random) -> None:
    """An order of any kind, and sometimes a request about all of them."""
    users = ["ann", "bob", "cy"]
    asset, user = chance.choice(ASSETS), chance.choice(users)
    place = chance.choice((venue.buy, venue.sell))
    price, quantity = chance.randint(95, 105), chance.randint(1, 9)
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"time_in_force": chance.choice((TimeInForce.IOC, TimeInForce.FOK))},
        {"post_only": True},
        {"display_quantity": max(1, quantity // 3)},
        {
            "time_in_force": TimeInForce.GTD,
            "expires_at": venue.now + timedelta(seconds=chance.randint(1, 60)),
        },
        {"order_type": OrderType.STOP_LIMIT, "stop_price": chance.randint(95, 105)},
    )
    placed = place(price, quantity, asset=asset, user_id=user, **chance.choice(kinds))
    if chance.random() < 0.1:
        stop: dict[str, Any] = {"order_type": OrderType.STOP, "stop_price": price}
        place(None, quantity, asset=asset, user_id=user, **stop)
    match chance.randint(0, 40):
        case 0:
            venue.cancel_all(user, chance.choice(("*", asset)))
        case 1:
            venue.suspend(user)
        case 2:
            venue.suspend(user, is_suspended=False)
        case 3:
            venue.set_rules(chance.choice(("*", asset)), lot_size=chance.randint(1, 3))
        case 4:
            venue.pass_time(asset, venue.now)
        case 5:
            venue.cancel(placed)
        case 6:
            venue.replace(placed, chance.randint(95, 105), quantity + 1)


def test_a_day_of_everything_is_consistent_and_rebuilt_from_its_events(venue: Venue) -> None:
    """Orders of all kinds, requests about all assets, in batches of any size."""
    chance = random.Random(7)
    for _ in range(300):
        ask_anything(venue, chance)
        if chance.random() < 0.1:
            venue.settle()
    venue.settle()
    assert venue.difference() is None


def test_a_poisonous_command_in_one_part_changes_nothing_for_the_others(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is for all assets is decided for this part only also after a command was refused."""
    ids = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    place = OrderBook.place

    def fail_on_666(book: OrderBook, position: int, order: Any, *rules: Any) -> None:
        if order.quantity == 666:
            raise ZeroDivisionError("poison")
        place(book, position, order, *rules)

    monkeypatch.setattr(OrderBook, "place", fail_on_666)
    poison = [venue.buy(90, 666, asset=asset) for asset in ASSETS]
    venue.cancel_all("mine")
    late = [venue.buy(91, 1, asset=asset, user_id="mine") for asset in ASSETS]
    for part in range(3):
        follow_in_parts(venue.market.matching, "Orders", [part])
    settle_in_parts(venue)
    for orders, fate in ((ids, "CANCELLED"), (poison, "REJECTED"), (late, "OPEN")):
        assert [status(venue, order_id) for order_id in orders] == [fate] * len(ASSETS)
    assert venue.difference() is None


def test_books_that_are_only_looked_at_leave_the_busy_ones_alive(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "MAX_LIVE_BOOKS", 2)
    monkeypatch.setattr(matching, "_BOOKS_AT_A_TIME", 2)
    for asset in ASSETS:
        venue.buy(90, 1, asset=asset, user_id="mine")
        venue.settle()
    venue.cancel_all("nobody")
    venue.settle()
    assert list(venue.market.matching._live)[-1] == ASSETS[-1]
    venue.cancel_all("mine")
    venue.settle()
    assert list(venue.market.matching._live)[-1] == ASSETS[-1]
    assert venue.difference() is None


def test_a_mass_cancel_opens_no_book(venue: Venue) -> None:
    venue.cancel_all("mine", "UNKNOWN")
    venue.settle()
    assert decisions(venue, OrderBook.Created) == []
    venue.buy(90, 1, asset="UNKNOWN")
    venue.cancel_all("mine", "UNKNOWN")
    venue.settle()
    assert decisions(venue, OrderBook.Created) == ["UNKNOWN"]
    assert venue.difference() is None


def test_a_book_that_fails_on_a_request_is_told_of(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [venue.buy(90, 1, asset=asset, user_id="mine") for asset in ASSETS]
    mass_cancel = OrderBook.mass_cancel

    def fail_in_one(book: OrderBook, *arguments: Any, **rules: Any) -> None:
        if book.asset == ASSETS[0]:
            raise ZeroDivisionError("poison")
        mass_cancel(book, *arguments, **rules)

    monkeypatch.setattr(OrderBook, "mass_cancel", fail_in_one)
    asked = MassCancelRequest.make(uuid4(), user_id="mine", asset="*", time=venue.tick())
    venue.market.orders.ask(asked)
    venue.settle()
    outcome = venue.market.orders.outcome_of(asked.id, 0, 10_000)
    assert set(outcome.cancelled) == set(ids[1:])
    assert outcome.failed == [ASSETS[0]]
