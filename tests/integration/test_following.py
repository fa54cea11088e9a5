"""Positions move by compare-and-set: what two followers do at once, happens once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID

import pytest
from eventsourcing.system import SingleThreadedRunner

from application.orders import Orders, Placement
from application.persistence.position import PositionMoved
from application.persistence.unit_of_work import CommitUnknown
from application.views.trades import TradeView
from domain.values import OrderStatus, Side, Terms
from system import ENV, build, create_tables, system
from tests.integration.conftest import Venue, patient
from tests.integration.service import eventually


def test_the_whole_system_runs_on_the_library_s_single_threaded_runner(
    library_env: dict[str, str],
) -> None:
    create_tables(library_env)
    with SingleThreadedRunner[UUID](system(), env={**ENV, **library_env}) as runner:
        orders = runner.get(Orders)
        for number, side in enumerate(Side):
            terms = Terms("user", "BTC-USD", side, 100, 5)
            orders.place(Placement(UUID(int=number), terms), Venue(None, {}).tick())  # type: ignore[arg-type]

        [trade] = runner.get(TradeView).recorder.trades(limit=10)
        assert (trade.maker_order_id, trade.taker_order_id) == (UUID(int=0), UUID(int=1))


def test_of_two_matchings_that_overlap_one_has_to_look_again(venue: Venue) -> None:
    with closing(build(patient(venue.env))) as other:
        maker, taker = venue.buy(100, 5), venue.sell(100, 5)
        fast, slow = venue.market.matching, other.matching

        assert slow.process_batch("Orders", limit=1) == 1
        assert fast.process_batch("Orders") == 1
        # It goes on from where it left off.
        with pytest.raises(PositionMoved):
            slow.process_batch("Orders")
        assert slow.process_batch("Orders") == 0
        venue.settle()
        assert {venue.market.orders.get(o).status for o in (maker, taker)} == {OrderStatus.FILLED}
        assert venue.difference() is None


@pytest.mark.parametrize("name", ["order_view", "book_view", "trade_view"])
def test_of_two_views_that_overlap_one_has_to_look_again(venue: Venue, name: str) -> None:
    venue.trade_a_little()
    venue.buy(100, 1)
    venue.market.matching.pull_and_process("Orders")
    with closing(build(patient(venue.env))) as other:
        slow, fast = getattr(venue.market, name), getattr(other, name)
        assert fast.process_batch(*fast.readers) > 0
        with pytest.raises(PositionMoved):
            slow.process_batch(*slow.readers)
    venue.settle()
    assert venue.difference() is None


def test_a_live_book_that_another_follower_has_moved_on_is_dropped_and_loaded_again(
    venue: Venue,
) -> None:
    venue.buy(100, 5)
    venue.settle()
    with closing(build(patient(venue.env))) as other:
        venue.sell(100, 2)
        other.matching.process_batch("Orders")
    venue.sell(100, 2)

    with pytest.raises(PositionMoved):
        venue.market.matching.process_batch("Orders")
    assert venue.market.matching.process_batch("Orders") == 1
    venue.settle()
    assert venue.difference() is None


def test_commands_that_come_again_change_nothing(venue: Venue) -> None:
    venue.trade_a_little()
    before = venue.market.matching.recorder.max_notification_id()

    # Matching is told, by whatever transport, everything from the beginning once more.
    venue.execute("DELETE FROM matching_tracking")
    venue.market.matching.forget()
    venue.settle()

    assert venue.market.matching.recorder.max_notification_id() == before
    assert venue.difference() is None


def test_a_session_that_postgresql_ends_during_the_commit_leaves_the_outcome_unknown(
    venue: Venue,
) -> None:
    placement = Placement(UUID(int=1), Terms("user", "BTC-USD", Side.BUY, 100, 5))
    with ThreadPoolExecutor() as pool, venue.connect() as other:
        # What is sent is the whole transaction; it waits for the lock of the log.
        other.execute("BEGIN; LOCK TABLE orders_events IN EXCLUSIVE MODE")
        placing = pool.submit(venue.market.orders.place, placement, venue.tick())
        eventually(lambda: venue.end_sessions_that_wait() == 1, 60)
        with pytest.raises(CommitUnknown):
            placing.result()
        other.execute("ROLLBACK")
        assert venue.market.orders.place(placement, venue.tick()).is_new


def test_sessions_that_postgresql_has_ended_are_found_before_anything_is_sent(
    venue: Venue,
) -> None:
    venue.buy(100, 5)
    venue.end_all_sessions()
    venue.sell(100, 5)
