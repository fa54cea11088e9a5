"""Orders with an end, stops, and the venue's rules, through kill -9 of everything."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration import service as services
from tests.integration.service import WAIT, Service, ask, client, eventually, service

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

ORDER = {"userId": "user123", "asset": "BTC-USD", "type": "BUY", "quantity": 1}


@pytest.fixture
def running() -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="ome-test-", dir="/tmp"))
    with service(directory) as started:
        yield started
    shutil.rmtree(directory, ignore_errors=True)


def place(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    placed: dict[str, Any] = services.place(http, {**ORDER, **fields}).json()
    return placed


def status(http: httpx.Client, order: dict[str, Any]) -> str:
    found: str = ask(http, "GET", f"/orders/{order['orderId']}").json()["status"]
    return found


def test_what_is_due_expires_and_what_holds_goes_on_to_hold(running: Service) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=20)
    with client(running) as http:
        good_till = {"timeInForce": "GTD", "expiresAt": soon.isoformat()}
        resting = place(http, price=90, **good_till)
        stop = place(http, orderType="STOP", stopPrice=110, **good_till)
        waits = place(http, orderType="STOP_LIMIT", stopPrice=105, price=106)
        iceberg = place(http, type="SELL", price=105, quantity=5, displayQuantity=2)
        ask(http, "PUT", "/users/banned", json={"suspended": True}, headers=WAIT)
        ask(http, "PUT", "/instruments/*", json={"lotSize": 1}, headers=WAIT)
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
        taker = services.place(http, {**ORDER, "price": 105, "quantity": 1})
        assert taker.json()["status"] == "FILLED"
        shown = {"Position": taker.headers["Position"]}
        path = f"/orders/{waits['orderId']}/events"
        trail = ask(http, "GET", path, headers=shown).json()["events"]
        assert [event["type"] for event in trail] == [
            "order.placed",
            "order.opened",
            "order.triggered",
        ]
        book = ask(http, "GET", "/books/BTC-USD", headers=shown).json()
        assert book["asks"] == [{"price": 105, "quantity": 2, "orders": 1}]
    assert running.verify() == {"consistent": True, "difference": None}
