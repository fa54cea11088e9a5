"""Prefer: wait=N, and Position: answers that come once the market has had its say."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Request as FlaskRequest
from werkzeug.test import EnvironBuilder

from interface.http.tokens import Token, encode
from interface.http.waiting import preferred_wait
from tests.http.support import (
    WAIT,
    Client,
    Response,
    Service,
    Stopwatch,
    new_asset,
    order,
    shown,
)


@contextmanager
def in_background(
    client: Client, method: str, path: str, **more: object
) -> Iterator[Future[Response]]:
    """A request that goes on meanwhile, until somebody asks for its result."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(client.open, path, method=method, **more)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("wait=0", 0),
        ("wait=30", 30),
        ("wait=31", 30),
        ("wait=" + "9" * 5000, 30),
        ("wait=005", 5),
        ("WAIT=5", 5),
        ('wait="5"', 5),
        (" wait = 5 ", 5),
        ("respond-async, wait=5", 5),
        ("respond-async,wait=5,foo", 5),
        ("wait=5; foo=bar", 5),
        ("wait=5, wait=7", 5),
        ("wait=abc, wait=7", 7),
        ('foo="a, wait=9", wait=4', 4),
        ("", None),
        ("wait", None),
        ("wait=", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=1e1", None),
        ("wait=five", None),
        ("wait=\u00b2", None),
        ("waiting=5", None),
        ("handling=lenient", None),
        ('foo="wait=5"', None),
        ('"', None),
        ('wait="5', None),
    ],
)
def test_the_preference_is_read_as_leniently_as_rfc_7240_has_it(
    header: str, seconds: int | None
) -> None:
    builder = EnvironBuilder(headers=[("Prefer", header)])
    assert preferred_wait(FlaskRequest(builder.get_environ())) == seconds


def test_without_a_preference_nobody_waits(stalled: Service) -> None:
    placed = stalled.client.post("/orders", json=order())
    assert placed.json["status"] == "PENDING"
    assert "Preference-Applied" not in placed.headers


def test_the_answer_comes_from_the_decision_before_the_order_has_recorded_it(
    stalled: Service,
) -> None:
    stalled.client.post("/orders", json=order(price=99))
    taker = order(type="SELL", price=98, quantity=3)
    with in_background(
        stalled.another_client(), "POST", "/orders", json=taker, headers=WAIT
    ) as answer:
        stalled.until_wait(1)
        assert not answer.done()
        stalled.match()
        placed = answer.result()
    assert placed.status_code == 201
    assert placed.headers["Preference-Applied"] == "wait"
    assert placed.json["status"] == "PARTIALLY_FILLED"
    assert placed.json["filledQuantity"] == 1
    assert placed.json["averagePrice"] == 99
    assert stalled.client.get(placed.headers["Location"]).json["status"] == "PENDING"


def test_the_answer_shows_the_order_as_the_command_left_it_not_as_it_is_since(
    stalled: Service,
) -> None:
    with in_background(
        stalled.another_client(), "POST", "/orders", json=order(), headers=WAIT
    ) as answer:
        stalled.until_recorded(1)
        stalled.client.post("/orders", json=order(type="SELL"))
        stalled.match()
        assert answer.result().json["status"] == "OPEN"


def test_when_the_time_is_over_the_answer_is_what_is_committed(
    stalled: Service, stopwatch: Stopwatch
) -> None:
    client = stalled.client
    start = time.monotonic()
    placed = client.post("/orders", json=order(), headers={"Prefer": "wait=1"})
    assert time.monotonic() - start > 0.9
    assert stopwatch.seconds < 3
    assert placed.status_code == 201
    assert placed.json["status"] == "PENDING"
    assert "Preference-Applied" not in placed.headers
    path = placed.headers["Location"]
    for asked in (
        client.patch(path, json={"price": 1}, headers={"Prefer": "wait=0"}),
        client.delete(path, headers={"Prefer": "wait=0"}),
    ):
        assert asked.status_code == 202
        assert asked.json["status"] == "PENDING"
        assert asked.headers["Position"]


def test_so_many_wait_as_may_and_the_rest_is_answered_at_once(
    stalled: Service, stopwatch: Stopwatch
) -> None:
    client = stalled.client_with(prefer_waits=2, position_waits=2)
    with ThreadPoolExecutor(4) as pool:
        waiting = [
            pool.submit(
                client.application.test_client().post,
                "/orders",
                json=order(),
                headers=WAIT,
            )
            for _ in range(2)
        ]
        stalled.until_wait(2)
        stopwatch.start()
        placed = client.post("/orders", json=order(), headers=WAIT)
        assert placed.status_code == 201
        assert placed.json["status"] == "PENDING"
        reading = [
            pool.submit(client.application.test_client().get, "/orders", headers=shown(placed))
            for _ in range(2)
        ]
        stalled.until_wait(4)
        read = client.get("/orders", headers=shown(placed))
        assert read.status_code == 503
        assert read.headers["Retry-After"] == "1"
        assert stopwatch.seconds < 1
        assert not any(answer.done() for answer in (*waiting, *reading))
        stalled.match()
        assert [answer.result().json["status"] for answer in waiting] == ["OPEN", "OPEN"]
        stalled.follow()
        assert [len(answer.result().json["orders"]) for answer in reading] == [3, 3]
    assert client.get("/orders", headers=shown(placed)).status_code == 200


@pytest.mark.parametrize(
    ("path", "followers"),
    [
        ("/orders", ["order_view"]),
        ("/orders/{id}", ["order_view"]),
        ("/orders/{id}/events", ["order_view", "orders"]),
        ("/orders/{id}/events", ["orders", "order_view"]),
    ],
)
def test_a_read_waits_until_the_orders_show_what_the_write_caused(
    stalled: Service, path: str, followers: list[str]
) -> None:
    placed = stalled.client.post("/orders", json=order())
    path = path.replace("{id}", placed.json["orderId"])
    with in_background(stalled.another_client(), "GET", path, headers=shown(placed)) as answer:
        for name in ("matching", *followers):
            time.sleep(0.2)
            assert not answer.done()
            follower = getattr(stalled.market, name)
            follower.process_batch(*follower.readers)
        read = answer.result()
    assert read.status_code == 200
    assert "OPEN" in read.text


@pytest.mark.parametrize(
    ("view", "path"), [("book_view", "/books/BTC-USD"), ("trade_view", "/trades")]
)
def test_a_read_of_books_and_trades_waits_for_their_own_view(
    stalled: Service, view: str, path: str
) -> None:
    stalled.client.post("/orders", json=order())
    placed = stalled.client.post("/orders", json=order(type="SELL", quantity=2))
    with in_background(stalled.another_client(), "GET", path, headers=shown(placed)) as answer:
        stalled.match()
        time.sleep(0.2)
        assert not answer.done()
        getattr(stalled.market, view).process_batch("Matching")
        read = answer.result()
    assert read.status_code == 200
    assert read.json.get("version") == 2 or len(read.json["trades"]) == 1


def test_a_read_that_waits_too_long_says_when_to_come_back(stalled: Service) -> None:
    client = stalled.client_with(read_wait_seconds=0.3)
    placed = client.post("/orders", json=order())
    read = client.get("/orders", headers=shown(placed))
    assert read.status_code == 503
    assert read.content_type == "application/problem+json"
    assert read.headers["Retry-After"] == "1"


def test_a_position_that_nothing_has_reached_ends_as_soon(
    stalled: Service, stopwatch: Stopwatch
) -> None:
    client = stalled.client_with(read_wait_seconds=0.3)
    for position in (1, 10**18):
        token = encode(Token.POSITION, position)
        assert client.get("/trades", headers={"Position": token}).status_code == 503
    assert stopwatch.seconds < 3


def test_every_write_of_a_running_market_is_shown_by_the_read_that_follows(
    service: Service,
) -> None:
    asset = new_asset()
    for number in range(20):
        headers = WAIT if number % 2 else {}
        placed = service.client.post("/orders", json=order(asset=asset), headers=headers)
        book = service.client.get(f"/books/{asset}?level=3", headers=shown(placed)).json
        assert book["bids"][-1]["orderId"] == placed.json["orderId"]
        assert book["version"] == number + 1
        page = service.client.get(f"/orders?asset={asset}", headers=shown(placed)).json
        assert len(page["orders"]) == number + 1
        assert {row["status"] for row in page["orders"]} == {"OPEN"}
