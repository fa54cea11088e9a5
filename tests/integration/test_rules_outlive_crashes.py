"""Orders with an end, stops, and the venue's rules, through kill -9 of everything."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.service import Service, eventually, service

WAIT = {"Prefer": "wait=10"}
ORDER = {"userId": "user123", "asset": "BTC-USD", "type": "BUY", "quantity": 1}


@pytest.fixture
def running() -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    with service(directory) as started:
        yield started
    shutil.rmtree(directory, ignore_errors=True)


def client(running: Service) -> httpx.Client:
    return httpx.Client(base_url=running.url, timeout=20, trust_env=False)


def place(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = http.post("/orders", json={**ORDER, **fields}, headers=WAIT)
    assert response.status_code == 201, response.text
    placed: dict[str, Any] = response.json()
    return placed


def status(http: httpx.Client, order: dict[str, Any]) -> str:
    found: str = http.get(f"/orders/{order['orderId']}").json()["status"]
    return found


def test_what_is_due_expires_and_what_holds_goes_on_to_hold(running: Service) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=20)
    with client(running) as http:
        good_till = {"timeInForce": "GTD", "expiresAt": soon.isoformat()}
        resting = place(http, price=90, **good_till)
        stop = place(http, orderType="STOP", stopPrice=110, **good_till)
        waits = place(http, orderType="STOP_LIMIT", stopPrice=105, price=106)
        iceberg = place(http, type="SELL", price=105, quantity=5, displayQuantity=2)
        http.put("/users/banned", json={"suspended": True}, headers=WAIT)
        http.put("/instruments/*", json={"lotSize": 1}, headers=WAIT)
        assert {each["status"] for each in (resting, stop, waits, iceberg)} == {"OPEN"}
    running.kill_everything()
    running.start()
    with client(running) as http:
        eventually(lambda: status(http, resting) == "EXPIRED", 60, running.output)
        eventually(lambda: status(http, stop) == "EXPIRED", 60, running.output)
        assert status(http, waits) == "OPEN"
        banned = place(http, price=90, userId="banned")
        assert (banned["status"], banned["reason"]) == ("REJECTED", "USER_SUSPENDED")
        broken = place(http, price=90, quantity=1.5)
        assert (broken["status"], broken["reason"]) == ("REJECTED", "LOT_SIZE")
        taker = http.post(
            "/orders",
            json={**ORDER, "price": 105, "quantity": 1},
            headers=WAIT,
        )
        assert taker.json()["status"] == "FILLED"
        shown = {"Position": taker.headers["Position"]}
        trail = http.get(f"/orders/{waits['orderId']}/events", headers=shown).json()["events"]
        assert [event["type"] for event in trail] == [
            "order.placed",
            "order.opened",
            "order.triggered",
        ]
        book = http.get("/books/BTC-USD", headers=shown).json()
        assert book["asks"] == [{"price": 105, "quantity": 2, "orders": 1}]
    assert running.verify() == {"consistent": True, "difference": None}
