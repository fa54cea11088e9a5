"""GTD and DAY orders: nothing trades past its time, and what is past it is EXPIRED."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from interface.clock import Clock
from tests.http.support import Service, Trading, only, outcome, path, wait_for

NOON = datetime(2024, 2, 9, 12, tzinfo=UTC)
TEXT = "The order's time was over"


class Day:
    """A trading day whose time a test tells."""

    def __init__(self, service: Service) -> None:
        self.time = NOON
        client = service.client_with(clock=lambda: self.time, max_lag_seconds=10**9)
        self.trading = Trading(service, client)

    def until(self, clock: str, day: int = 9) -> None:
        self.time = datetime.fromisoformat(f"2024-02-{day:02}T{clock}+00:00")


@pytest.fixture
def day(service: Service) -> Day:
    return Day(service)


def gtd(clock: str) -> dict[str, str]:
    return {"timeInForce": "GTD", "expiresAt": f"2024-02-09T{clock}Z"}


def test_an_order_leaves_at_its_time_and_not_before(day: Day) -> None:
    trading = day.trading
    placed = trading.buy(100, **gtd("12:00:10"))
    assert outcome(placed) == ("OPEN", 0, None)
    assert placed["expiresAt"] == "2024-02-09T12:00:10Z"
    day.until("12:00:09.999999")
    trading.buy(1)
    assert outcome(trading.now(placed)) == ("OPEN", 0, None)
    day.until("12:00:10")
    trading.buy(1)
    gone = trading.now(placed)
    assert outcome(gone) == ("EXPIRED", 0, "TIME_EXPIRED")
    assert gone["reasonText"] == TEXT
    assert gone["updatedAt"] == "2024-02-09T12:00:10Z"
    assert [price for _, price, _ in trading.queue("bids")] == [1, 1]


def test_nothing_trades_past_its_time(day: Day) -> None:
    trading = day.trading
    late = trading.sell(100, 2, **gtd("12:00:10"))
    trading.buy(100)
    day.until("12:00:10")
    taker = trading.buy(100)
    assert outcome(taker) == ("OPEN", 0, None)
    assert outcome(trading.now(late)) == ("EXPIRED", 1, "TIME_EXPIRED")
    assert trading.book()["asks"] == []


def test_an_order_that_arrives_past_its_time_is_expired_at_once(day: Day) -> None:
    trading = day.trading
    trading.sell(100)
    placed = trading.buy(100, **gtd("12:00:00"))
    assert outcome(placed) == ("EXPIRED", 0, "TIME_EXPIRED")
    assert trading.now(placed) == placed
    assert trading.trades() == []


def test_a_time_is_shown_in_utc_whatever_zone_it_comes_in(day: Day) -> None:
    expires_at = "2024-02-09T15:30:00.5+01:30"
    placed = day.trading.buy(100, timeInForce="GTD", expiresAt=expires_at)
    assert placed["expiresAt"] == "2024-02-09T14:00:00.500000Z"
    assert day.trading.now(placed) == placed


def test_a_stop_and_an_iceberg_have_their_time_too(day: Day) -> None:
    trading = day.trading
    stop = trading.buy(None, orderType="STOP", stopPrice=105, **gtd("12:00:10"))
    iceberg = trading.buy(90, 9, displayQuantity=2, **gtd("12:00:10"))
    day.until("12:00:10")
    trading.sell(105)
    trading.buy(105)
    for each in (stop, iceberg):
        assert outcome(trading.now(each)) == ("EXPIRED", 0, "TIME_EXPIRED")
    assert trading.book()["bids"] == []


def test_a_request_that_comes_too_late_is_answered_by_the_orders_end(day: Day) -> None:
    trading = day.trading
    placed = trading.buy(100, **gtd("12:00:10"))
    day.until("12:00:11")
    refused = trading.cancel(placed, status=409)
    assert refused["reason"] == "ORDER_NOT_OPEN"
    events = trading.trail(placed)
    request, expired = only(events, "request.cancel"), only(events, "order.expired")
    assert expired["requestId"] == request["requestId"]
    assert outcome(trading.now(placed)) == ("EXPIRED", 0, "TIME_EXPIRED")


def test_a_day_ends_at_midnight_unless_told(day: Day) -> None:
    trading = day.trading
    placed = trading.buy(100, timeInForce="DAY")
    assert placed["expiresAt"] is None
    day.until("23:59:59")
    trading.buy(1)
    assert outcome(trading.now(placed)) == ("OPEN", 0, None)
    day.until("00:00:00", day=10)
    trading.buy(1)
    assert outcome(trading.now(placed)) == ("EXPIRED", 0, "TIME_EXPIRED")


def test_a_day_ends_when_the_session_does_that_the_order_arrived_in(day: Day) -> None:
    trading = day.trading
    trading.rule(sessionEnd="12:30")
    today = trading.buy(100, timeInForce="DAY")
    day.until("12:30:00")
    tomorrow = trading.buy(100, timeInForce="DAY")
    assert outcome(trading.now(today)) == ("EXPIRED", 0, "TIME_EXPIRED")
    day.until("12:29:59", day=10)
    trading.buy(1)
    assert outcome(trading.now(tomorrow)) == ("OPEN", 0, None)
    day.until("12:30:00", day=10)
    trading.buy(1)
    assert outcome(trading.now(tomorrow)) == ("EXPIRED", 0, "TIME_EXPIRED")


def test_another_session_end_is_for_those_that_come(day: Day) -> None:
    trading = day.trading
    before = trading.buy(100, timeInForce="DAY")
    trading.rule(sessionEnd="12:30")
    day.until("12:30:00")
    trading.buy(1)
    assert outcome(trading.now(before)) == ("OPEN", 0, None)


def test_the_clock_has_orders_leave_where_nobody_asks_for_anything(service: Service) -> None:
    end = datetime.now(UTC)
    before = service.client_with(clock=lambda: end - timedelta(minutes=1), max_lag_seconds=10**9)
    trading = Trading(service, before)
    placed = trading.buy(100, timeInForce="GTD", expiresAt=end.isoformat())
    assert outcome(placed) == ("OPEN", 0, None)
    stopping = threading.Event()
    clock = Clock(service.env, stopping, lambda: True)
    clock.start()
    try:
        wait_for(lambda: service.client.get(path(placed)).json["status"] == "EXPIRED")
    finally:
        stopping.set()
        clock.join()
    later = trading.buy(1)  # what it shows, shows all that came before
    found = trading.now(placed)
    assert outcome(found) == ("EXPIRED", 0, "TIME_EXPIRED")
    assert datetime.fromisoformat(found["updatedAt"]) >= end
    assert trading.queue("bids") == [(later["orderId"], 1, 1)]
