"""Engines under load whose followers leave the fused batch, and join it again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from application.matching import Matching
from application.orders import Orders
from application.persistence.locks import try_lock
from application.views.rebuild import rebuild
from interface.engine import Engine, turn
from system import VIEWS, followings, leaders_of
from tests.integration.conftest import Venue, at_work
from tests.integration.service import eventually
from tests.integration.test_engines import check_all, trading

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

TABLES = {"orders": "order_view.orders", "books": "book_view.levels", "trades": "trade_view.trades"}


def joined(engine: Engine) -> set[str]:
    """The followers whose work the fused one does."""
    return {each.follower.name for each in engine._followings if each.is_joined}


def able_to_join(venue: Venue) -> set[str]:
    return {each.name for each, leader in followings(venue.market) if leader == Matching.name}


@contextmanager
def fused(venue: Venue) -> Iterator[Engine]:
    engine = Engine(venue.env)
    with at_work(engine):
        venue.buy(1, 1)  # they join when there is something to do
        eventually(lambda: is_fused(venue, engine), 60)
        yield engine


def is_fused(venue: Venue, engine: Engine) -> bool:
    venue.buy(1, 1)
    return joined(engine) == able_to_join(venue)


def decided(venue: Venue) -> int:
    return venue.market.matching.recorder.max_tracking_id(Orders.name) or 0


def orders_of(venue: Venue) -> list[UUID]:
    """All orders that were placed, the test's own among them."""
    with venue.connect() as connection:
        rows = connection.execute(
            "SELECT originator_id FROM orders_events WHERE topic = 'order.placed'"
        ).fetchall()
    return [row["originator_id"] for row in rows]


def wait_for_decisions(venue: Venue, commands: int) -> None:
    goal = decided(venue) + commands
    eventually(lambda: decided(venue) >= goal, 60)


@pytest.mark.parametrize("table", TABLES.values())
def test_decisions_go_on_while_the_table_of_a_view_is_locked(venue: Venue, table: str) -> None:
    with fused(venue) as engine:
        with trading(venue) as trade, venue.connect() as other:
            trade.wait_for(20)
            other.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
            wait_for_decisions(venue, 100)
            other.execute("ROLLBACK")
            eventually(lambda: joined(engine) == able_to_join(venue), 60)
            trade.wait_for(20)
        check_all(venue, orders_of(venue))


@pytest.mark.parametrize("name", VIEWS)
def test_decisions_go_on_while_a_view_is_rebuilt(venue: Venue, name: str) -> None:
    with fused(venue) as engine:
        with trading(venue) as trade:
            trade.wait_for(50)
            before = decided(venue)
            rebuild(VIEWS[name], leaders_of(venue.market, VIEWS[name]), lambda _: None)
            assert decided(venue) > before
            eventually(lambda: joined(engine) == able_to_join(venue), 60)
            trade.wait_for(20)
        eventually(lambda: venue.difference() is None, 60)


@pytest.mark.parametrize("name", [Matching.name, Orders.name, "BookView"])
def test_engine_without_one_of_the_turns_goes_on_apart_and_fuses_once_it_is_free(
    venue: Venue, name: str
) -> None:
    with venue.connect() as other:
        assert try_lock(other, venue.env, turn(name))
        engine = Engine(venue.env)
        with at_work(engine):
            rest = {each.follower.name for each in engine._followings} - {name}
            eventually(
                lambda: {e.follower.name for e in engine._followings if e.is_our_turn} == rest, 60
            )
            placed = [venue.buy(100, 1), venue.sell(100, 1)]
            if name != Matching.name:
                eventually(lambda: decided(venue) == 2, 60)
            other.close()
            eventually(lambda: is_fused(venue, engine), 60)
    assert placed
    assert venue.difference() is None


def test_of_two_engines_one_takes_all_turns_and_the_other_follows_it(venue: Venue) -> None:
    engines = [Engine(venue.env), Engine(venue.env)]
    with at_work(*engines):
        eventually(lambda: sorted(map(turns, engines)) == [0, 5], 60)
        with trading(venue) as trade:
            trade.wait_for(30)
            [working] = [each for each in engines if turns(each)]
            [standing_by] = [each for each in engines if each is not working]
            working.stop()
            eventually(lambda: turns(standing_by) == 5, 60)
            trade.wait_for(30)
        check_all(venue, trade.placed)


def turns(engine: Engine) -> int:
    return len({each.follower.name for each in engine._followings if each.is_our_turn})


def test_parked_view_goes_on_alone_and_the_others_stay_fused(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = type(venue.market.trade_view.recorder).changes

    def fail(recorder: Any, entries: Any) -> Any:
        if any(position > 3 for position, _ in entries):
            raise ZeroDivisionError
        return changes(recorder, entries)

    with fused(venue) as engine:
        with monkeypatch.context() as faulty:
            faulty.setattr(type(venue.market.trade_view.recorder), "changes", fail)
            eventually(lambda: is_parked(venue), 60)
            eventually(lambda: joined(engine) == able_to_join(venue) - {"TradeView"}, 60)
            venue.buy(100, 1)
            wait_for_decisions(venue, 0)
        eventually(lambda: is_fused(venue, engine), 60)
        assert not is_parked(venue, ask=False)
    venue.settle()
    assert venue.difference() is None


def is_parked(venue: Venue, *, ask: bool = True) -> bool:
    if ask:
        venue.buy(1, 1)
    return venue.market.trade_view.recorder.parked() is not None
