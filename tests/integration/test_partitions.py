"""A follower that takes its leader's log in parts, and one that goes back to all of it."""

import random
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from eventsourcing.persistence import OperationalError

from application.persistence.following import BatchFollower
from application.persistence.log import Entry
from application.persistence.partitions import Reach, concerns
from application.persistence.position import Advance, Move, PositionMoved
from system import build, followings
from tests.integration.conftest import Venue, patient

PARTITIONS = 3
ASSETS = ("BTC-USD", "ETH-USD", "SOL-USD", "DOGE-USD")


def trade(venue: Venue, count: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        place = chance.choice((venue.buy, venue.sell))
        place(100 + chance.randrange(3), chance.randrange(1, 5), asset=chance.choice(ASSETS))


def of_partition(follower: BatchFollower, leader: str, partition: int) -> list[Entry]:
    """What waits in a partition."""
    reach = Reach.read(follower.recorder, leader)
    entries = follower.entries_after(leader, 0, 10_000)
    return [
        (position, event)
        for position, event in entries
        if concerns(event.asset, partition, PARTITIONS) and position > reach.positions[partition]
    ]


def follow_in_parts(
    follower: BatchFollower, leader: str, partitions: Sequence[int] = range(PARTITIONS)
) -> None:
    follower.take_parts(leader, PARTITIONS)
    log = follower.readers[leader].notification_log
    last = log.recorder.max_notification_id() or 0  # type: ignore[attr-defined]
    for partition in partitions:
        entries = of_partition(follower, leader, partition)
        follower.process_parts(leader, {partition: (entries, last)})


def settle_in_parts(venue: Venue) -> None:
    matching = venue.market.matching
    follow_in_parts(matching, "Orders")
    venue.market.orders.pull_and_process("Matching")
    for follower, leader in followings(venue.market):
        if follower.name.endswith("View"):
            follow_in_parts(follower, leader)


def test_all_of_the_market_in_parts_is_consistent(venue: Venue) -> None:
    for seed in range(3):
        trade(venue, 40, seed)
        settle_in_parts(venue)
    assert venue.difference() is None


def test_one_goes_from_the_whole_log_to_parts_of_it_and_back(venue: Venue) -> None:
    for seed in range(3):
        trade(venue, 30, seed)
        settle_in_parts(venue)
        trade(venue, 30, seed)
        venue.settle()
    assert venue.difference() is None


@pytest.mark.parametrize("done", [(0,), (1,), (0, 2)])
def test_parts_that_are_behind_catch_up_before_one_follows_the_whole_log(
    venue: Venue, done: Sequence[int]
) -> None:
    trade(venue, 60, 1)
    follow_in_parts(venue.market.matching, "Orders", done)
    assert venue.difference() is None  # as far as each has come
    venue.settle()
    follow_in_parts(venue.market.book_view, "Matching", done)
    trade(venue, 30, 2)
    follow_in_parts(venue.market.order_view, "Orders", done)
    assert venue.difference() is None
    venue.settle()
    assert venue.difference() is None
    for follower, leader in followings(venue.market):
        assert not Reach.read(follower.recorder, leader).is_by_partition


def test_how_far_one_has_come_is_how_far_all_its_parts_have(venue: Venue) -> None:
    trade(venue, 20, 1)
    view = venue.market.order_view
    follow_in_parts(view, "Orders", [0, 1])
    assert view.recorder.max_tracking_id("Orders") == 0
    follow_in_parts(view, "Orders", [2])
    assert view.recorder.max_tracking_id("Orders") == 20


def test_of_two_that_believe_they_own_a_part_one_has_to_look_again(venue: Venue) -> None:
    trade(venue, 40, 1)
    matching = venue.market.matching
    matching.take_parts("Orders", PARTITIONS)
    entries = of_partition(matching, "Orders", 0)
    with closing(build(patient(venue.env))) as others:
        other = others.matching
        other.take_parts("Orders", PARTITIONS)
        other.process_parts("Orders", {0: (entries, 40)})
    with pytest.raises(PositionMoved):
        matching.process_parts("Orders", {0: (entries, 40)})
    matching.take_parts("Orders", PARTITIONS)
    assert of_partition(matching, "Orders", 0) == []
    settle_in_parts(venue)
    assert venue.difference() is None


def test_who_follows_the_whole_log_fences_whoever_follows_parts_of_it(venue: Venue) -> None:
    trade(venue, 40, 1)
    with closing(build(patient(venue.env))) as others:
        other = others.matching
        other.take_parts("Orders", PARTITIONS)
        entries = of_partition(other, "Orders", 0)
        venue.settle()
        with pytest.raises(PositionMoved):
            other.process_parts("Orders", {0: (entries, 40)})
    assert venue.difference() is None


def test_another_number_of_parts_is_taken_from_where_all_are(venue: Venue) -> None:
    trade(venue, 40, 1)
    follow_in_parts(venue.market.matching, "Orders", [0, 2])
    assert list(venue.market.matching.take_parts("Orders", 5)) == [40] * 5
    venue.settle()
    assert venue.difference() is None


def test_a_catch_up_that_fails_in_the_middle_decides_all_of_it_again(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(venue, 60, 1)
    follow_in_parts(venue.market.matching, "Orders", [0])
    record = venue.market.matching.recorder.record
    failures = iter([OperationalError("the lock is held"), PositionMoved("by another")])

    def fail_at_times(*arguments: Any, **named: Any) -> Any:
        if failure := next(failures, None):
            raise failure
        return record(*arguments, **named)

    monkeypatch.setattr(venue.market.matching.recorder, "record", fail_at_times)
    for failure in (OperationalError, PositionMoved):
        with pytest.raises(failure):
            venue.market.matching.process_batch("Orders")
    venue.settle()
    assert venue.difference() is None


def test_one_partition_s_lag_is_not_that_of_the_others(venue: Venue) -> None:
    trade(venue, 40, 1)
    matching = venue.market.matching
    assert matching.lags("Orders", venue.now) == [timedelta(seconds=39)]
    follow_in_parts(matching, "Orders", [0, 1])
    behind = of_partition(matching, "Orders", 2)
    assert matching.lags("Orders", venue.now) == [
        timedelta(0),
        timedelta(0),
        venue.now - behind[0][1].timestamp,
    ]


def test_nobody_begins_with_the_whole_log_beside_those_who_follow_parts_of_it(
    venue: Venue,
) -> None:
    trade(venue, 10, 1)
    with closing(build(patient(venue.env))) as others:
        entries = others.matching.entries_after("Orders", None, 5)
        move = Advance.of("Orders", [Move("Orders", None, 5)])
        follow_in_parts(venue.market.matching, "Orders")
        with pytest.raises(PositionMoved):
            others.matching.process_entries(entries, move)
    venue.settle()
    assert venue.difference() is None
