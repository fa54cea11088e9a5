"""What the venue says of a place in the log: what held there, whatever was asked since."""

from typing import Any
from uuid import UUID

import pytest

from domain.instrument import DEFAULT, NO_RULES, Instrument, Rules
from domain.requests import InstrumentRequest, UserRequest
from domain.values import ALL_ASSETS, venue_id
from domain.venue import Venue
from tests.domain.support import Command, event, request_id, seconds

TICKS = Instrument(tick_size=10)
LOTS = Instrument(lot_size=4)


@pytest.fixture
def venue() -> Venue:
    return Venue.open(seconds(0))


def default(number: int, instrument: Instrument, *, at: int | None = None) -> Command:
    """The request of this number, that all assets have these rules."""
    return InstrumentRequest.make(
        request_id(number),
        user_id="operator",
        asset=ALL_ASSETS,
        instrument=instrument,
        time=seconds(number if at is None else at),
    ).collect_events()[0]


def user(number: int, name: str, *, is_suspended: bool = True) -> Command:
    return UserRequest.make(
        request_id(number),
        user_id=name,
        asset=ALL_ASSETS,
        is_suspended=is_suspended,
        time=seconds(number),
    ).collect_events()[0]


def changed(kind: type[Any], number: int, position: int, **facts: Any) -> Any:
    """The change that a venue must have recorded, as its first unless told."""
    usual = {
        "originator_id": venue_id(),
        "originator_version": 1,
        "timestamp": seconds(number),
        "asset": ALL_ASSETS,
        "position": position,
        "user_id": "operator",
        "request_id": request_id(number),
    }
    return event(kind, **(usual | facts))


def replayed(events: list[Any]) -> Any:
    venue: Any = None
    for each in events:
        venue = each.mutate(venue)
    return venue


def test_there_is_one_venue_and_its_id_never_changes() -> None:
    assert venue_id() == UUID("5018ce22-39d6-5780-a782-b35dee779dd3")


def test_a_venue_opens_without_rules(venue: Venue) -> None:
    assert venue.collect_events() == [
        event(
            Venue.Created,
            originator_id=venue_id(),
            originator_version=0,
            originator_topic="venue",
            timestamp=seconds(0),
            asset=ALL_ASSETS,
        )
    ]
    assert (venue.id, venue.version, venue.asset, venue.position) == (venue_id(), 0, ALL_ASSETS, 0)
    assert venue.rules_at(0, "ann") == venue.rules_at(99, "ann") == NO_RULES == Rules(DEFAULT)


def test_a_default_holds_from_its_place_on_and_until_the_next(venue: Venue) -> None:
    venue.collect_events()
    venue.change_default(10, default(1, TICKS))
    venue.change_default(20, default(2, LOTS))
    assert venue.collect_events() == [
        changed(Venue.DefaultChanged, 1, 10, instrument=TICKS),
        changed(Venue.DefaultChanged, 2, 20, originator_version=2, instrument=LOTS),
    ]
    assert [venue.rules_at(position, "ann").default for position in (9, 10, 19, 20, 99)] == [
        DEFAULT,
        TICKS,
        TICKS,
        LOTS,
        LOTS,
    ]
    assert not venue.rules_at(20, "ann").is_suspended


def test_a_user_is_suspended_from_one_place_to_another_and_nobody_else_is(venue: Venue) -> None:
    venue.collect_events()
    venue.change_user(10, user(1, "ann"))
    venue.change_user(20, user(2, "ann", is_suspended=False))
    about_ann = {"user_id": "ann"}
    assert venue.collect_events() == [
        changed(Venue.UserChanged, 1, 10, is_suspended=True, **about_ann),
        changed(Venue.UserChanged, 2, 20, originator_version=2, is_suspended=False, **about_ann),
    ]
    for position, is_suspended in ((9, False), (10, True), (19, True), (20, False)):
        assert venue.rules_at(position, "ann") == Rules(DEFAULT, is_suspended)
        assert venue.rules_at(position, "bob") == NO_RULES


def test_two_users_and_the_default_are_apart(venue: Venue) -> None:
    venue.change_user(10, user(1, "ann"))
    venue.change_default(20, default(2, TICKS))
    venue.change_user(30, user(3, "bob"))
    assert venue.rules_at(10, "ann") == Rules(DEFAULT, is_suspended=True)
    assert venue.rules_at(30, "ann") == venue.rules_at(30, "bob") == Rules(TICKS, is_suspended=True)
    assert venue.rules_at(29, "bob") == Rules(TICKS)


@pytest.mark.parametrize("position", [0, 1, 9, 10])
def test_a_place_that_the_venue_has_had_is_ignored(venue: Venue, position: int) -> None:
    venue.change_default(10, default(1, TICKS))
    venue.collect_events()
    venue.change_default(position, default(2, LOTS))
    venue.change_user(position, user(3, "ann"))
    assert venue.collect_events() == []
    assert venue.rules_at(10, "ann") == Rules(TICKS)


def test_the_next_place_is_recorded(venue: Venue) -> None:
    venue.change_default(10, default(1, TICKS))
    venue.change_default(11, default(2, LOTS))
    assert venue.rules_at(11, "ann") == Rules(LOTS)
    assert venue.position == 11


def test_the_first_place_of_a_log_counts(venue: Venue) -> None:
    venue.change_user(1, user(1, "ann"))
    assert venue.rules_at(1, "ann").is_suspended
    assert not venue.rules_at(0, "ann").is_suspended


def test_its_time_never_runs_backwards(venue: Venue) -> None:
    venue.change_default(10, default(1, TICKS, at=60))
    venue.change_default(20, default(2, LOTS, at=3))
    times = [each.timestamp for each in venue.collect_events()]
    assert times == [seconds(0), seconds(60), seconds(60)]


def test_its_events_give_it_again(venue: Venue) -> None:
    venue.change_default(10, default(1, TICKS))
    venue.change_user(20, user(2, "ann"))
    venue.change_user(30, user(3, "ann", is_suspended=False))
    venue.change_user(40, user(4, "bob"))
    assert replayed(venue.collect_events()) == venue
