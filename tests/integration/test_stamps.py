"""The database refuses commands whose stamp is ahead of its clock, by every way into the log."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from application import books_ahead
from application.books_ahead import BooksAhead
from application.orders import Placement
from application.persistence import database_clock
from application.persistence.database_clock import DatabaseClock
from application.persistence.guards import StampAhead
from domain.requests import ExpiryRequest, MassCancelRequest, TimeRequest
from domain.values import ALL_ASSETS, Side, Terms, TimeInForce, book_id
from tests.integration.conftest import Venue

TERMS = Terms("user", "BTC-USD", Side.BUY, 100, 5)


def ahead(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def place(venue: Venue, count: int, time: datetime) -> None:
    venue.market.orders.place_all([Placement(uuid4(), TERMS) for _ in range(count)], time)


def ask(venue: Venue, count: int, time: datetime) -> None:
    requests = [
        MassCancelRequest.make(uuid4(), user_id="user", asset=ALL_ASSETS, time=time)
        for _ in range(count)
    ]
    venue.market.orders.ask_all(requests)


def tell_time(venue: Venue, count: int, time: datetime) -> None:
    requests = [
        ExpiryRequest.make(uuid4(), user_id="clock", asset="BTC-USD", time=time)
        for _ in range(count)
    ]
    venue.market.orders.ask_all(requests)


@pytest.mark.parametrize("count", [1, 101], ids=["few", "many"])
@pytest.mark.parametrize("record", [place, ask, tell_time])
def test_record_with_a_stamp_that_is_ahead_changes_nothing(
    venue: Venue, record: Callable[[Venue, int, datetime], None], count: int
) -> None:
    with pytest.raises(StampAhead, match=r"the stamp is 1079\d\.\d+ s ahead of the database"):
        record(venue, count, ahead(3 * 3600))
    assert venue.market.orders.recorder.max_notification_id() is None
    record(venue, count, ahead(-3 * 3600))
    record(venue, count, ahead(0.5))
    assert len(venue.market.orders.recorder.select_notifications(None, 1000)) == 2 * count


def test_cancel_and_replace_with_a_stamp_that_is_ahead_change_nothing(venue: Venue) -> None:
    order_id = venue.buy(100, 5)
    venue.settle()
    events = venue.market.orders.recorder.max_notification_id()
    with pytest.raises(StampAhead):
        venue.market.orders.cancel(order_id, uuid4(), ahead(60))
    with pytest.raises(StampAhead):
        venue.market.orders.replace(order_id, uuid4(), ahead(60), price=2)
    assert venue.market.orders.recorder.max_notification_id() == events


def test_record_of_a_batch_of_which_one_is_ahead_refuses_all(venue: Venue) -> None:
    requests = [
        MassCancelRequest.make(uuid4(), user_id="user", asset="BTC-USD", time=time)
        for time in (ahead(-60), ahead(60), ahead(-60))
    ]
    with pytest.raises(StampAhead):
        venue.market.orders.ask_all(requests)
    assert venue.market.orders.recorder.max_notification_id() is None


def test_record_within_a_bound_of_ones_own_is_taken(venue: Venue) -> None:
    venue.market.orders.recorder.max_ahead_seconds = 5
    place(venue, 1, ahead(4))
    with pytest.raises(StampAhead):
        place(venue, 1, ahead(60))


def test_what_a_book_that_is_ahead_decides_is_applied(venue: Venue) -> None:
    """As a market has it that an earlier release let a wrong clock into."""
    venue.market.orders.recorder.max_ahead_seconds = 10**9
    place(venue, 1, ahead(3 * 3600))
    venue.market.orders.recorder.max_ahead_seconds = 1
    venue.now = datetime.now(UTC) - timedelta(hours=1)
    order_id = venue.sell(100, 5)
    venue.settle()
    assert venue.market.orders.get(order_id).status == "FILLED"
    assert venue.difference() is None


def test_the_estimate_is_never_refused(venue: Venue) -> None:
    clock = DatabaseClock.of(venue.market.orders)
    for _ in range(20):
        clock.measure()
        place(venue, 1, clock.agreed_now())


def test_a_book_that_is_ahead_and_reset_shows_moving_times(venue: Venue) -> None:
    venue.market.orders.recorder.max_ahead_seconds = 10**9
    place(venue, 1, ahead(3 * 3600))
    venue.settle()
    venue.market.orders.ask(
        TimeRequest.make(uuid4(), user_id="operator", asset="BTC-USD", time=ahead(-10))
    )
    venue.market.orders.ask(
        TimeRequest.make(uuid4(), user_id="operator", asset="NOBODY-TRADED", time=ahead(-10))
    )
    venue.settle()
    venue.now = datetime.now(UTC) - timedelta(seconds=8)
    end = venue.now + timedelta(hours=1)
    good = {"time_in_force": TimeInForce.GTD, "expires_at": end}
    lives = venue.buy(90, 1, **good)
    sold = venue.sell(100, 5)
    venue.settle()
    assert venue.market.orders.get(lives).status == "OPEN"
    assert venue.market.orders.get(sold).modified_on == venue.now
    venue.market.matching.forget()
    assert venue.market.matching.load([book_id("NOBODY-TRADED")]) == {}
    assert venue.difference() is None


class Ahead:
    """Two books that are hours ahead, one that is not, and how they are found out."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.queries = 0
        venue.market.orders.recorder.max_ahead_seconds = 10**9
        self.until = ahead(3 * 3600)
        for asset, stamp in (("A", self.until), ("B", ahead(-9)), ("C", self.until)):
            terms = TERMS._replace(asset=asset)
            venue.market.orders.place(Placement(uuid4(), terms), stamp)
        venue.suspend("nobody", is_suspended=False)
        venue.settle()
        self.off = 0.0
        self.clock = DatabaseClock(
            lambda: time.time() + self.off, 1, wall=lambda: time.time() + self.off
        )
        self.clock.measure()
        self.books = BooksAhead(venue.market.matching, self.clock)

    def reset(self, asset: str) -> None:
        request = TimeRequest.make(uuid4(), user_id="operator", asset=asset, time=ahead(-5))
        self.venue.market.orders.ask(request)
        self.venue.settle()


@pytest.fixture
def of_two(venue: Venue) -> Ahead:
    return Ahead(venue)


def test_books_ahead_are_known_until_they_are_reset(of_two: Ahead) -> None:
    assert of_two.books.times() == {}
    of_two.books.look()
    assert of_two.books.times() == {"A": of_two.until, "C": of_two.until}
    of_two.reset("A")
    of_two.books.look()
    assert of_two.books.times() == {"C": of_two.until}
    of_two.reset("C")
    of_two.books.look()
    assert of_two.books.times() == {}


def test_books_ahead_are_so_no_more_once_time_has_passed(of_two: Ahead) -> None:
    of_two.books.look()
    of_two.clock._offset = (of_two.clock._offset or 0) + 3 * 3600
    assert of_two.books.times() == {}


def test_books_ahead_are_looked_at_once(of_two: Ahead, monkeypatch: pytest.MonkeyPatch) -> None:
    of_two.books.look()
    monkeypatch.setattr(of_two.venue.market.matching.recorder, "select_head_times", None)
    of_two.books.look()
    assert list(of_two.books.times()) == ["A", "C"]


def test_books_ahead_after_the_databases_clock_went_back_are_looked_for_again(
    of_two: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_clock, "BELIEVE_AFTER_SECONDS", 0)
    of_two.books.look()
    of_two.off = -60
    of_two.clock.measure()
    assert of_two.clock.jumps_believed == 1
    of_two.books.look()
    assert list(of_two.books.times()) == ["A", "B", "C"]


def test_books_ahead_are_unknown_while_the_clocks_disagree(of_two: Ahead) -> None:
    of_two.books.look()
    of_two.off = 60
    of_two.clock.measure()
    assert of_two.clock.fault()
    of_two.books.look()
    assert of_two.books.times() == {}


def test_books_ahead_are_found_page_by_page(of_two: Ahead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_ahead, "_PAGE", 1)
    of_two.books.look()
    assert list(of_two.books.times()) == ["A", "C"]
