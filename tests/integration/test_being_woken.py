"""Who wakes whom, and what is known of how far each has come, also after a crash."""

from contextlib import closing

import pytest

from application.matching import Matching
from application.orders import Orders
from application.persistence.partitions import Published, partition_of
from application.views.trades import TradeView
from application.waiting import Mark
from interface import following
from interface.engine import Engine
from interface.listening import Bell
from system import ENV, FOLLOWERS
from tests.integration.conftest import Venue, at_work, has_followed_all, patient
from tests.integration.service import eventually
from tests.loops import ringing


def set_back(venue: Venue, position: int) -> None:
    """Has the view of trades be at a position that it had before."""
    venue.execute("DELETE FROM trade_view.tradeview_tracking")
    venue.execute(f"INSERT INTO trade_view.tradeview_tracking VALUES ('Matching', {position})")


def test_a_view_that_a_crash_has_set_back_catches_up_though_nothing_new_comes(
    venue: Venue,
) -> None:
    """Its commits don't wait for the disk: PostgreSQL may come back without the last ones."""
    with at_work(Engine(venue.env)):
        for _ in range(5):
            venue.buy(100, 1)
            venue.sell(100, 1)
        eventually(lambda: has_followed_all(venue.market), 60)
        set_back(venue, 3)
        venue.execute("DELETE FROM trade_view.trades WHERE position > 3")
        venue.end_all_sessions()
        eventually(lambda: has_followed_all(venue.market), 60)
    assert len(venue.market.trade_view.recorder.trades(limit=10)) == 5
    assert venue.difference() is None


def has_reached(bell: Bell, name: str, position: int) -> bool:
    return bell.is_informed and bell.has_reached(Mark(name, position, None))


def test_the_bell_forgets_what_a_crash_has_taken(venue: Venue) -> None:
    venue.buy(100, 1)
    venue.sell(100, 1)
    venue.settle()
    with ringing(Bell(venue.env, venue.market)) as bell:
        eventually(lambda: has_reached(bell, TradeView.name, 3), 60)
        set_back(venue, 2)
        venue.end_all_sessions()
        eventually(lambda: not has_reached(bell, TradeView.name, 3), 60)


def test_the_bell_and_the_engine_take_no_harm_from_what_others_say(venue: Venue) -> None:
    with ringing(Bell(venue.env, venue.market)) as bell, at_work(Engine(venue.env)):
        eventually(lambda: bell.is_informed, 60)
        venue.execute("NOTIFY orders_events, 'something'; NOTIFY matching_events, '-1:'")
        venue.buy(100, 1)
        eventually(lambda: has_reached(bell, Orders.name, 2), 60)


class Log:
    """What a publisher tells of it."""

    def __init__(self, leader: str, upto: int, ends: list[int]) -> None:
        self.leader = leader
        self.channel = f"publisher.{leader}"
        self.told = Published(upto, ends)

    def published(self) -> Published:
        return self.told


def test_the_bell_knows_how_far_each_asset_is_where_a_worker_has_stopped(venue: Venue) -> None:
    assets = ["BTC-USD", "ETH-USD"]
    stopped, working, idle = 0, 3, 1
    assert [partition_of(asset, 4) for asset in assets] == [stopped, working]
    for asset in assets:
        venue.buy(100, 1, asset=asset)
    follower = venue.market.matching
    follower.take_parts("Orders", 4)
    bell = Bell(venue.env, venue.market, [Log("Orders", 2, [1, 0, 0, 2])])
    with ringing(bell):
        eventually(lambda: bell.is_informed, 60)
        assert bell.is_by_partition
        entries = follower.entries_after("Orders", 1, 10)
        follower.process_parts("Orders", {working: (entries, 2)})
        eventually(lambda: bell.has_reached(Mark(follower.name, 2, "ETH-USD")), 60)
        assert not bell.has_reached(Mark(follower.name, 1, "BTC-USD"))
        assert not bell.has_reached(Mark(follower.name, 1, None))
        nothing = "DOGE-USD"
        assert partition_of(nothing, 4) == idle
        assert bell.has_reached(Mark(follower.name, 2, nothing))
        assert not bell.has_reached(Mark(follower.name, 3, nothing))
        venue.execute("SELECT pg_notify('publisher.Orders', '5:1,0,5,2')")
        eventually(lambda: bell.has_reached(Mark(follower.name, 5, nothing)), 60)


def test_a_view_that_is_built_anew_does_not_speak_for_the_living_one(venue: Venue) -> None:
    env = {**ENV, **venue.env, "POSTGRES_SCHEMA": "trade_view_new"}
    with closing(TradeView(env)) as another:
        assert another.recorder.channel_name != venue.market.trade_view.recorder.channel_name


def test_followers_whose_leader_works_elsewhere_are_woken_by_postgresql(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines share the work as it comes; none waits until it looks by itself."""
    env = patient(venue.env)  # who finds no connection in time tells nobody
    matching = Engine(env, names=[Matching.name])
    with at_work(matching):
        eventually(lambda: matching._followings[0].is_our_turn, 60)
        rest = Engine(env)
        with at_work(rest):
            eventually(lambda: sum(f.is_our_turn for f in rest._followings) == 4, 60)
            venue.buy(100, 1)
            eventually(lambda: has_followed_all(venue.market), 60)
            monkeypatch.setattr(following, "LOOK_ANYWAY_SECONDS", 3600)
            for each in (*matching._followings, *rest._followings):
                each.follower.idle_seconds = 3600
            venue.sell(100, 1)
            venue.sell(100, 1)  # whoever was waiting for the old time has looked by then
            eventually(lambda: has_followed_all(venue.market), 60)
            venue.buy(100, 1)
            eventually(lambda: has_followed_all(venue.market), 60)
    assert set(FOLLOWERS) == {f.follower.name for f in rest._followings}
    assert len(venue.market.trade_view.recorder.trades(limit=10)) == 2
