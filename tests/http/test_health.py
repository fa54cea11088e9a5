"""/health: the process lives. /ready: orders are taken, matched and shown."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from application.persistence.partitions import Published
from application.persistence.standstills import Standstills
from interface import published_progress
from system import followings
from tests.http.support import WAIT, Client, Service, order


def client_at(service: Service, now: datetime) -> Client:
    """One that takes it to be then, whatever time has passed."""
    return service.client_with(clock=lambda: now, max_lag_seconds=5)


def test_a_process_that_answers_is_healthy(stalled: Service) -> None:
    answered = stalled.client.get("/health")
    assert answered.status_code == 200
    assert answered.json == {"status": "ok"}


def test_a_market_that_works_is_ready(service: Service) -> None:
    answered = service.client.get("/ready")
    assert answered.status_code == 200
    assert answered.json == {"status": "ready"}


@pytest.mark.parametrize("name", ["order_view", "book_view", "trade_view"])
def test_a_market_with_a_view_that_stands_still_is_not_ready(stalled: Service, name: str) -> None:
    view = getattr(stalled.market, name)
    view.recorder.park("Orders 17, order.filled: ValueError: no")
    answered = stalled.client.get("/ready")
    assert answered.status_code == 503
    assert answered.content_type == "application/problem+json"
    assert answered.headers["Retry-After"] == "1"
    reason = f"{view.name} is parked: Orders 17, order.filled: ValueError: no"
    assert answered.json["reasons"] == [reason]
    assert answered.json["detail"] == reason


def test_a_market_that_matches_late_takes_cancels_and_reads_and_nothing_new(
    stalled: Service,
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1)  # the database takes nothing from later
    placed = client_at(stalled, start).post("/orders", json=order())
    late = client_at(stalled, start + timedelta(seconds=5.1))
    path = placed.headers["Location"]
    for refused in (
        late.post("/orders", json=order()),
        late.post("/orders/batch", json={"orders": [order()]}),
        late.patch(path, json={"price": 1}),
        late.get("/ready"),
    ):
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert "Matching is more than 5 s behind" in refused.json["detail"]
    assert late.get(path).status_code == 200
    assert late.get("/orders").status_code == 200
    assert late.delete(path).status_code == 202
    assert late.post("/orders", json={}).status_code == 400
    stalled.follow()
    again = client_at(stalled, start + timedelta(seconds=5.1))
    assert again.post("/orders", json=order()).status_code == 201
    assert again.get("/ready").status_code == 200


def test_a_market_within_its_limit_takes_orders(stalled: Service) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1)  # the database takes nothing from later
    client_at(stalled, start).post("/orders", json=order())
    client = client_at(stalled, start + timedelta(seconds=4.9))
    assert client.post("/orders", json=order()).status_code == 201


def test_the_lag_is_measured_a_few_times_a_second_at_most(
    stalled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    lags = stalled.market.matching.lags

    def measure(leader: str, now: datetime) -> list[timedelta]:
        measured.append(time.monotonic())
        return lags(leader, now)

    monkeypatch.setattr(stalled.market.matching, "lags", measure)
    for _ in range(10):
        stalled.client.post("/orders", json=order())
    assert measured
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(measured))


def test_what_is_known_already_is_told_however_late_the_market_matches(stalled: Service) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1)  # the database takes nothing from later
    fields = order(clientOrderId="mine")
    client_at(stalled, start).post("/orders", json=fields)
    late = client_at(stalled, start + timedelta(seconds=6))
    assert late.post("/orders", json=fields).status_code == 200
    assert late.post("/orders", json=order(clientOrderId="another")).status_code == 503


@pytest.mark.parametrize("name", ["Orders", "OrderView", "BookView", "TradeView"])
def test_a_market_whose_follower_stands_still_is_not_ready(stalled: Service, name: str) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1)  # the database takes nothing from later
    client_at(stalled, start).post("/orders", json=order())
    for follower, leader in followings(stalled.market):
        if follower.name != name:
            follower.pull_and_process(leader)
    late = client_at(stalled, start + timedelta(seconds=6))
    assert f"{name} is more than 5 s behind" in late.get("/ready").json["reasons"]


@pytest.mark.parametrize("worker", ["Matching", "clock", "snapshots"])
def test_a_worker_that_can_t_go_on_makes_the_market_not_ready_until_it_does(
    service: Service, worker: str
) -> None:
    standstills = Standstills(service.market.orders.recorder.datastore)
    standstills.note(worker, "the messages are gone", 17, 60)
    answered = service.client.get("/ready")
    assert answered.status_code == 503
    [reason] = answered.json["reasons"]
    assert reason.startswith(f"{worker} has stood still at position 17 since 20")
    assert reason.endswith("Z: the messages are gone")
    standstills.clear(worker)
    assert service.client.get("/ready").json == {"status": "ready"}


class Log:
    """A log that is published up to a position."""

    leader = "Orders"
    channel = "publisher.orderspublisher_tracking"

    def __init__(self) -> None:
        self.upto = 0

    def published(self) -> Published:
        return Published(self.upto, ())


def test_a_publisher_that_has_stood_still_counts_only_where_there_is_kafka(
    service: Service,
) -> None:
    standstills = Standstills(service.market.orders.recorder.datastore)
    standstills.note("OrdersPublisher", "too large", 17, 60)
    assert service.client.get("/ready").status_code == 200
    client = service.client_with(published=[Log()])
    [reason] = client.get("/ready").json["reasons"]
    assert reason.startswith("OrdersPublisher has stood still at position 17 since 20")
    standstills.clear("OrdersPublisher")


def test_a_log_that_nobody_publishes_makes_the_market_not_ready(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    client = service.client_with(published=[log])
    client.post("/orders", json=order(), headers=WAIT)
    assert of_publishers(client) == []  # it waits since now
    monkeypatch.setattr(published_progress, "_SECONDS", -1)
    assert of_publishers(client) == [
        (
            "OrdersPublisher has published nothing after position 0 for 0 s: does a process with"
            " the role engine or publisher run?"
        )
    ]
    log.upto = service.count_events()
    assert of_publishers(client) == []


def of_publishers(client: Client) -> list[str]:
    reasons = client.get("/ready").json.get("reasons", [])
    return [reason for reason in reasons if reason.startswith("OrdersPublisher")]
