"""What followers in one process hand each other is what PostgreSQL says, or costs a read."""

import random
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

import pytest

from application import matching, orders
from application.persistence import log as shared_log
from application.persistence.following import BatchProcess
from application.persistence.log import Entry, SharedLog
from domain.errors import OrderClosed
from domain.values import OrderStatus, Side
from interface.engine import Engine
from system import build, followings
from tests.integration.conftest import Venue, at_work, has_followed_all, patient, process
from tests.integration.service import eventually


def trade(venue: Venue, seed: int, commands: int) -> list[UUID]:
    """Orders of a few prices in a few books, some cancelled or amended while they rest."""
    chance = random.Random(seed)
    placed: list[UUID] = []
    for _ in range(commands):
        if placed and chance.random() < 0.3:
            order_id = chance.choice(placed)
            try:
                if chance.random() < 0.5:
                    venue.cancel(order_id)
                else:
                    venue.replace(order_id, chance.randint(97, 103), chance.randint(1, 12))
            except OrderClosed:
                pass
        else:
            side, asset = chance.choice(list(Side)), chance.choice(["A", "B", "C", "D", "E"])
            receipt = venue.place(side, chance.randint(97, 103), chance.randint(1, 9), asset=asset)
            placed.append(receipt.order.id)
    return placed


@contextmanager
def running(venue: Venue, batch_size: int = 500) -> Iterator[Engine]:
    engine = Engine(venue.env, batch_size)
    with at_work(engine):
        yield engine
        eventually(lambda: has_followed_all(venue.market), 60)


def logs(engine: Engine) -> tuple[SharedLog, SharedLog]:
    return (engine._market.orders.notification_log, engine._market.matching.notification_log)


def stored_events(leader: BatchProcess) -> dict[int, Any]:
    """All events of a log, read and decoded."""
    read = leader.recorder.select_notifications(1, 100_000)
    return {each.id: leader.mapper.to_domain_event(each) for each in read}


def test_events_at_hand_are_the_events_that_are_stored(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[SharedLog, bool, Entry]] = []
    after = SharedLog.after

    def recorded(log: SharedLog, *args: Any, at_hand: bool) -> list[Entry]:
        entries = after(log, *args, at_hand=at_hand)
        given.extend((log, at_hand, entry) for entry in entries)
        return entries

    monkeypatch.setattr(SharedLog, "after", recorded)
    with running(venue) as engine:
        trade(venue, seed=1, commands=200)
    market = venue.market
    stored = dict(
        zip(logs(engine), map(stored_events, (market.orders, market.matching)), strict=True)
    )
    for log, _, (notification_id, event) in given:
        if log in stored:  # and not what this test itself looks at
            assert type(event) is type(stored[log][notification_id])
            assert vars(event) == vars(stored[log][notification_id])
    assert sum(at_hand for _, at_hand, _ in given) > 300
    assert venue.difference() is None


@pytest.mark.parametrize("seed", [1, 2])
def test_hand_overs_that_are_missed_change_nothing(venue: Venue, seed: int) -> None:
    """All that is at hand is dropped at random moments, some of it not even remembered."""
    chance = random.Random(seed)
    with running(venue, batch_size=7) as engine:
        done = threading.Event()

        def lose() -> None:
            while not done.wait(chance.random() / 50):
                for log in logs(engine):
                    with log._mutex:
                        _drop_some(log._known, chance)
                        _drop_some(log._created, chance)

        losing = threading.Thread(target=lose)
        losing.start()
        try:
            trade(venue, seed, commands=200)
            eventually(lambda: has_followed_all(venue.market), 60)
        finally:
            done.set()
            losing.join()
    assert venue.difference() is None


def _drop_some(known: dict[Any, Any], chance: random.Random) -> None:
    for key in list(known):
        if chance.random() < 0.7:
            del known[key]


def test_what_is_at_hand_is_bounded(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_log, "_KEPT", 10)
    with running(venue) as engine:
        trade(venue, seed=3, commands=200)
        eventually(lambda: has_followed_all(venue.market), 60)
        for log in logs(engine):
            assert 0 < len(log._known) <= 20
            assert 0 < len(log._created) <= 20
    assert venue.difference() is None


def test_few_live_orders_and_books_give_the_same_results(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders and books come and go in memory all the time."""
    monkeypatch.setattr(orders, "MAX_LIVE_ORDERS", 3)
    monkeypatch.setattr(matching, "MAX_LIVE_BOOKS", 2)
    with running(venue, batch_size=20) as engine:
        trade(venue, seed=4, commands=200)
        eventually(lambda: has_followed_all(venue.market), 60)
        assert len(engine._market.orders._live) == 3
        assert len(engine._market.matching._live) == 2
    assert venue.difference() is None


def test_an_order_that_is_forgotten_after_it_was_decided_is_read(venue: Venue) -> None:
    """Its first event is still at hand, and is not all that has become of it."""
    maker = venue.buy(100, 5)
    venue.settle()
    venue.market.orders.forget()  # as after a conflict, or with PostgreSQL away for a moment
    venue.sell(100, 5)
    venue.settle()
    assert venue.market.orders.get(maker).status is OrderStatus.FILLED
    assert venue.difference() is None


@pytest.mark.parametrize("forgetful", ["Matching", "Orders", "OrderView"])
def test_a_follower_that_forgets_all_the_time_does_the_same_work(
    venue: Venue, forgetful: str
) -> None:
    for seed in range(6):
        trade(venue, seed, commands=12)
        for follower, _ in followings(venue.market):
            if follower.name == forgetful:
                follower.forget()
        venue.settle()
    assert venue.difference() is None


def test_orders_that_another_process_has_decided_meanwhile_are_read(venue: Venue) -> None:
    """Two processes in turns: what one has at hand, the other has moved on."""
    with closing(build(patient(venue.env))) as other:
        for turn in range(6):
            trade(venue, seed=turn, commands=12)
            market = (venue.market, other)[turn % 2]
            while sum(process(*pair) for pair in followings(market)):
                pass
    venue.settle()
    assert venue.difference() is None
