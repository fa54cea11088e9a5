"""Price-time priority as a client sees it: against the naive book, and in a crowd."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from application.persistence.snapshot import Snapshot
from application.verify import Verifier
from domain.values import UNITS_PER_ONE, Side
from tests.domain.naive_book import NaiveBook, Refused
from tests.http.support import WAIT, Response, Service, new_asset, order, shown


class Against:
    """Sends each command to the service and to the naive book, and compares the answers."""

    def __init__(self, service: Service, seed: int) -> None:
        self.client = service.client
        self.asset = new_asset()
        self.naive = NaiveBook()
        self.chance = random.Random(seed)
        self.ids: list[UUID] = []

    def step(self) -> Response:
        kind = self.chance.choices(("place", "cancel", "amend"), (6, 2, 2))[0]
        if kind == "place" or not self.ids:
            return self.place()
        target = self.chance.choice(self.ids[-12:])
        return self.cancel(target) if kind == "cancel" else self.amend(target)

    def place(self) -> Response:
        side, ioc = self.chance.choice(tuple(Side)), self.chance.random() < 0.2
        price, quantity = self.chance.randint(98, 102), self.chance.randint(1, 9)
        answer = self.client.post(
            "/orders",
            json=order(
                asset=self.asset,
                type=side,
                price=price,
                quantity=quantity,
                timeInForce="IOC" if ioc else "GTC",
            ),
            headers=WAIT,
        )
        assert answer.status_code == 201
        order_id = UUID(answer.json["orderId"])
        placed = self.naive.place(order_id, side, price, quantity, ioc=ioc)
        assert answer.json["filledQuantity"] == sum(fill.quantity for fill in placed.fills)
        self.ids.append(order_id)
        return answer

    def cancel(self, order_id: UUID) -> Response:
        answer = self.client.delete(f"/orders/{order_id}", headers=WAIT)
        was_cancelled = self.naive.status.get(order_id) == "CANCELLED"
        refused = isinstance(self.naive.cancel(order_id), Refused)
        assert answer.status_code == (200 if was_cancelled or not refused else 409)
        return answer

    def amend(self, order_id: UUID) -> Response:
        price = self.chance.choice((None, self.chance.randint(98, 102)))
        quantity = self.chance.randint(1, 9)
        body = {"quantity": quantity} if price is None else {"price": price, "quantity": quantity}
        answer = self.client.patch(f"/orders/{order_id}", json=body, headers=WAIT)
        refused = isinstance(self.naive.replace(order_id, price, quantity), Refused)
        assert answer.status_code == (409 if refused else 200)
        return answer

    def queue(self, side: Side) -> list[dict[str, Any]]:
        return [
            {"orderId": str(resting.order), "price": resting.price, "quantity": resting.remaining}
            for resting in self.naive.queue(side)
        ]


@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_of_commands_leaves_the_book_that_the_naive_one_has(
    service: Service, seed: int
) -> None:
    market = Against(service, seed)
    position: dict[str, str] = {}
    for number in range(120):
        answer = market.step()
        if "Position" in answer.headers:
            position = shown(answer)
        if number % 10 == 9:
            book = service.client.get(f"/books/{market.asset}?level=3", headers=position).json
            assert book["bids"] == market.queue(Side.BUY)
            assert book["asks"] == market.queue(Side.SELL)
    trades = service.client.get(f"/trades?asset={market.asset}&limit=1000", headers=position)
    numbers = [trade["tradeId"] for trade in trades.json["trades"]]
    assert numbers == list(range(market.naive.trades, 0, -1))


def test_cancels_that_race_with_fills_leave_every_order_one_fate(service: Service) -> None:
    asset = new_asset()

    def trade(seed: int) -> list[str]:
        chance, client = random.Random(seed), service.another_client()
        paths = []
        for _ in range(25):
            side = chance.choice(tuple(Side))
            placed = client.post("/orders", json=order(asset=asset, type=side, quantity=2))
            paths.append(placed.headers["Location"])
            client.delete(chance.choice(paths))
        return paths

    with ThreadPoolExecutor(8) as crowd:
        paths = [path for each in crowd.map(trade, range(8)) for path in each]

    last = service.client.post("/orders", json=order(asset=new_asset()), headers=WAIT)
    fates = {"OPEN": 0, "PARTIALLY_FILLED": 0, "FILLED": 0, "CANCELLED": 0}
    bought = sold = 0
    for path in paths:
        found = service.client.get(path, headers=shown(last)).json
        fates[found["status"]] += 1
        assert found["filledQuantity"] + found["remainingQuantity"] == found["quantity"]
        assert (found["status"] == "FILLED") == (found["remainingQuantity"] == 0)
        trail = service.client.get(f"{path}/events").json["events"]
        ends = {"order.cancelled"} & {event["type"] for event in trail}
        assert bool(ends) == (found["status"] == "CANCELLED")
        bought += found["filledQuantity"] if found["type"] == "BUY" else 0
        sold += found["filledQuantity"] if found["type"] == "SELL" else 0
    assert fates["FILLED"] > 0
    assert fates["CANCELLED"] > 0
    trades = service.client.get(f"/trades?asset={asset}&limit=1000").json["trades"]
    assert bought == sold == sum(trade["quantity"] for trade in trades)
    with Snapshot.take(service.env) as snapshot:
        market = service.market
        verifier = Verifier(snapshot, market.orders, market.matching)
        verifier.verify(market.order_view, market.book_view, market.trade_view)


def test_amounts_are_in_the_same_units_on_both_sides_of_a_trade(service: Service) -> None:
    asset = new_asset()
    service.client.post("/orders", json=order(asset=asset, price="0.1", quantity="0.3"))
    taker = service.client.post(
        "/orders",
        json=order(asset=asset, type="SELL", price="0.00000001", quantity="0.2"),
        headers=WAIT,
    )
    [trade] = service.client.get(f"/trades?asset={asset}", headers=shown(taker)).json["trades"]
    assert (trade["price"], trade["quantity"]) == (0.1, 0.2)
    row = service.market.trade_view.recorder.trades(asset=asset, limit=1)[0]
    assert (row.price, row.quantity) == (UNITS_PER_ONE // 10, UNITS_PER_ONE // 5)
