"""Commands carry the database's time, whatever the clock of the host says and wherever it steps."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from application.persistence.database_clock import DatabaseClock, ask_time
from tests.http.support import (
    WAIT,
    Client,
    Service,
    Trading,
    new_asset,
    order,
    outcome,
    path,
    wait_for,
)

HOURS = 3600


class Clocks:
    """The clocks of a host and of the database, as far as they are off."""

    def __init__(self, service: Service) -> None:
        self._recorder = service.market.orders.recorder
        self.database_off = self.host_off = 0.0
        self.clock = DatabaseClock(
            lambda: ask_time(self._recorder) + self.database_off,
            1,
            wall=lambda: time.time() + self.host_off,
        )
        self.clock.measure()

    def step_database(self, seconds: float) -> None:
        self.database_off += seconds
        self.clock.measure()


@pytest.fixture
def clocks(service: Service) -> Clocks:
    return Clocks(service)


@pytest.fixture
def client(service: Service, clocks: Clocks) -> Client:
    return service.client_by(clocks.clock)


def in_hours(hours: float) -> str:
    return (datetime.now().astimezone() + timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize("off", [3 * HOURS, -3 * HOURS])
def test_place_by_a_host_whose_clock_is_off_expires_nobody(
    service: Service, clocks: Clocks, client: Client, off: float
) -> None:
    others = Trading(service)
    resting = others.buy(99, timeInForce="GTD", expiresAt=in_hours(1))
    clocks.host_off = off
    placed = client.post("/orders", json=order(asset=others.asset, price=98, userId="other"))
    assert placed.status_code == 201
    assert abs(datetime.fromisoformat(placed.json["createdAt"]).timestamp() - time.time()) < 60
    assert outcome(others.sell(99, timeInForce="IOC")) == ("FILLED", 1, None)
    later = others.buy(97, timeInForce="GTD", expiresAt=in_hours(1))
    assert outcome(later) == ("OPEN", 0, None)
    assert outcome(others.now(resting)) == ("FILLED", 1, None)


@pytest.mark.parametrize(("jump", "says"), [(3 * HOURS, "ahead of"), (-3 * HOURS, "behind")])
def test_orders_and_amends_after_a_jump_are_refused_and_cancels_taken(
    service: Service, clocks: Clocks, client: Client, jump: float, says: str
) -> None:
    trading = Trading(service)
    amended, cancelled, of_client = (
        trading.buy(1, timeInForce="GTD", expiresAt=in_hours(1)),
        trading.buy(1),
        trading.buy(1, clientOrderId="mine"),
    )
    clocks.step_database(jump)
    for refused in (
        client.post("/orders", json=order(asset=trading.asset)),
        client.post("/orders/batch", json={"orders": [order(asset=trading.asset)]}),
        client.patch(path(amended), json={"price": 2}),
        client.get("/ready"),
    ):
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        reason = f"The database's clock jumped: it is 10800.0 s {says}"
        assert refused.json["detail"].startswith(reason)
    known = order(asset=trading.asset, price=1, clientOrderId="mine")
    again = client.post("/orders", json=known)
    assert (again.status_code, again.json["orderId"]) == (200, of_client["orderId"])
    assert client.delete(path(cancelled)).status_code == 202
    assert client.delete("/orders?userId=nobody").status_code == 202
    assert client.put("/users/nobody", json={"suspended": False}).status_code == 202
    assert outcome(trading.now(amended)) == ("OPEN", 0, None)
    clocks.step_database(-jump)
    assert client.post("/orders", json=order(asset=trading.asset)).status_code == 201
    assert client.patch(path(amended), json={"price": 2}).status_code == 202
    # What was recorded meanwhile may wait to be followed yet, with a time of hours ago.
    wait_for(lambda: client.get("/ready").status_code == 200)


def test_writes_without_any_measurement_are_refused(service: Service) -> None:
    def ask() -> float:
        time.sleep(0.02)
        return time.time()

    client = service.client_by(DatabaseClock(ask, 0.01))
    for refused in (
        client.post("/orders", json=order(asset=new_asset())),
        client.delete("/orders?userId=nobody"),
        client.get("/ready"),
    ):
        assert refused.status_code == 503
        assert refused.json["detail"].startswith("The database's time is not known yet")


def test_ready_names_books_that_are_ahead_and_until_when(service: Service) -> None:
    until = datetime(2031, 3, 1, 12, 30, 15, tzinfo=UTC)
    client = service.client_with(books_ahead=lambda: {f"A{n}": until for n in range(200)})
    answered = client.get("/ready")
    assert answered.status_code == 503
    [reason] = answered.json["reasons"]
    assert "ahead" in reason
    assert "A0 until 2031-03-01T12:30:15+00:00, A1 until" in reason
    assert "197 more. Reset it with ome reset-time" in reason
    assert len(answered.json["booksAhead"]) == 100
    assert answered.json["booksAhead"]["A7"] == "2031-03-01T12:30:15Z"


def test_reset_time_of_a_book_that_is_ahead_lets_it_go_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    trading = Trading(service)
    with monkeypatch.context() as earlier:  # releases that let in what a wrong clock had stamped
        earlier.setattr(service.market.orders.recorder, "max_ahead_seconds", 10**9)
        ahead = datetime.now(UTC) + timedelta(hours=3)
        Trading.buy(trading, 1)
        hurt = service.client_with(clock=lambda: ahead, max_lag_seconds=10**9)
        placed = hurt.post("/orders", json=order(asset=trading.asset), headers=WAIT)
        assert placed.status_code == 201
    expired = trading.buy(2, timeInForce="GTD", expiresAt=in_hours(1))
    assert outcome(expired) == ("EXPIRED", 0, "TIME_EXPIRED")
    path_ = f"/books/{trading.asset}/reset-time"
    answered = service.client.post(path_, headers=WAIT)
    assert answered.status_code == 200
    assert answered.json["asset"] == trading.asset
    assert abs(datetime.fromisoformat(answered.json["time"]).timestamp() - time.time()) < 60
    lives = trading.buy(2, timeInForce="GTD", expiresAt=in_hours(1))
    assert outcome(lives) == ("OPEN", 0, None)
    again = service.client.post(path_)
    assert (again.status_code, sorted(again.json)) == (202, ["asset", "requestId", "time"])


def test_reset_time_of_a_book_that_nobody_has_traded_changes_nothing(service: Service) -> None:
    asset = new_asset()
    assert service.client.post(f"/books/{asset}/reset-time", headers=WAIT).status_code == 200
    assert service.client.get(f"/books/{asset}").json["version"] == 0
    assert service.client.post("/books/a b/reset-time").status_code == 400
    assert service.client.post("/books/*/reset-time").status_code == 400


def test_reset_time_while_the_clocks_disagree_is_refused(clocks: Clocks, client: Client) -> None:
    clocks.step_database(3 * HOURS)
    assert client.post(f"/books/{new_asset()}/reset-time").status_code == 503
