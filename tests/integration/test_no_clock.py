"""Deciding again what is in the log, and replaying it, read no clock."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from domain.values import book_id
from tests.integration.conftest import Venue

_WALL_CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "gmtime"),
    ("time", "localtime"),
    ("time", "clock_gettime"),
}


class ClockRead(BaseException):
    """Something has asked for the time; no handler of ours is to catch it."""


@contextmanager
def no_clock() -> Iterator[None]:
    """Make every call of a wall clock raise, in this thread."""

    def watch(_frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call":
            owner = getattr(function, "__self__", None)
            if (getattr(owner, "__name__", None), function.__name__) in _WALL_CLOCKS:
                raise ClockRead(function)

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def verify(venue: Venue) -> None:
    assert venue.difference() is None


def replay(venue: Venue) -> None:
    assert len(venue.market.matching.load([book_id("BTC-USD"), book_id("ETH-USD")])) == 2


def decide(venue: Venue) -> None:
    venue.settle()


@pytest.mark.parametrize("work", [verify, replay, decide])
def test_no_clock_is_read_by(venue: Venue, work: Callable[[Venue], None]) -> None:
    venue.trade_a_little()
    venue.buy(90, 5)
    if work is not decide:
        venue.settle()
    with no_clock():
        work(venue)


def test_no_clock_notices_one(venue: Venue) -> None:
    with pytest.raises(ClockRead), no_clock():
        venue.now.now()
