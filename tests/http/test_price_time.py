"""Price-time priority as a client sees it: against the naive book, and in a crowd."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from application.persistence.snapshot import Snapshot
from application.verify import Verifier
from domain.values import (
    UNITS_PER_ONE,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    average_price,
    format_notional,
    format_units,
)
from interface.http.fields import amendment, instrument_rules
from interface.http.order_fields import order_terms
from tests.domain.naive_book import NaiveBook, NaiveOrder
from tests.http.support import WAIT, Response, Service, exact, new_asset, order, shown

RESTING: Final = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
TIMES: Final = {
    OrderType.LIMIT: (*RESTING, *RESTING, TimeInForce.IOC, TimeInForce.FOK),
    OrderType.MARKET: (TimeInForce.IOC, TimeInForce.IOC, TimeInForce.FOK),
    OrderType.STOP: RESTING,
    OrderType.STOP_LIMIT: RESTING,
}


class Against:
    """Sends each command to the service and to the naive book, and compares the answers."""

    def __init__(self, service: Service, seed: int) -> None:
        self.now = datetime(2024, 2, 9, 12, tzinfo=UTC)
        self.client = service.client_with(clock=lambda: self.now, max_lag_seconds=10**6)
        self.asset = new_asset()
        self.users = [f"{self.asset}-{number}" for number in range(3)]
        self.naive = NaiveBook()
        self.chance = random.Random(seed)
        self.ids: list[UUID] = []
        self.position: dict[str, str] = {}

    def step(self) -> None:
        jump = self.chance.choice((0, 1, 1, 2, 3, -2))
        self.now += timedelta(seconds=jump, hours=9 if self.chance.random() < 0.02 else 0)
        steps: tuple[Callable[[], Response], ...]
        steps = (self.place, self.cancel, self.amend, self.cancel_all, self.change_rules)
        [step] = self.chance.choices(steps, (70, 6, 22, 1, 2))
        answer = step() if self.ids else self.place()
        if "Position" in answer.headers:
            self.position = shown(answer)

    def place(self) -> Response:
        body = self.order()
        answer = self.client.post("/orders", json=body, headers=WAIT)
        assert answer.status_code == 201
        order_id = UUID(answer.json["orderId"])
        self.naive.place(order_id, order_terms(body), self.now)
        self.ids.append(order_id)
        self.check(answer, order_id)
        return answer

    def cancel(self) -> Response:
        order_id = self.chance.choice(self.ids[-15:])
        answer = self.client.delete(f"/orders/{order_id}", headers=WAIT)
        status = self.naive.everyone[order_id].status
        if OrderStatus(status).is_terminal:  # it is known to be over: the book is not asked
            assert answer.status_code == (200 if status == "CANCELLED" else 409)
            return answer
        refusal = self.naive.cancel(order_id, self.now)
        assert answer.status_code == (200 if refusal is None else 409)
        if refusal is None:
            self.check(answer, order_id)
        else:
            assert answer.json["reason"] == refusal
        return answer

    def amend(self) -> Response:
        open_ids = [each.order for each in [*self.naive.resting, *self.naive.stops]]
        order_id = self.chance.choice([*open_ids[-15:], *self.ids[-2:]])
        body = {self.chance.choice(("price", "quantity", "quantity")): self.amount(9)}
        if "price" in body:
            body["price"] = self.price()
        if self.chance.random() < 0.2:
            body["stopPrice"] = self.price()
        if self.chance.random() < 0.2:
            body["displayQuantity"] = self.amount(4)
        answer = self.client.patch(f"/orders/{order_id}", json=body, headers=WAIT)
        if OrderStatus(self.naive.everyone[order_id].status).is_terminal:
            assert answer.status_code == 409
            return answer
        changes = amendment(body)._asdict()
        refusal = self.naive.replace(order_id, self.now, **changes)
        assert answer.status_code == (200 if refusal is None else 409)
        if refusal is None:
            self.check(answer, order_id)
        else:
            assert answer.json["reason"] == refusal
        return answer

    def cancel_all(self) -> Response:
        user = self.chance.choice(self.users)
        query = f"userId={user}" + self.chance.choice(("", f"&asset={self.asset}"))
        answer = self.client.delete(f"/orders?{query}", headers=WAIT)
        assert answer.status_code == 200
        everyone = [*self.naive.resting, *self.naive.stops]
        expected: list[UUID] = []
        if any(each.terms.user_id == user for each in everyone):
            expected = self.naive.mass_cancel(user, "USER_REQUEST", self.now)
        assert sorted(answer.json["cancelled"]) == sorted(map(str, expected))
        return answer

    def change_rules(self) -> Response:
        rules = self.chance.choice(
            (
                *[{}] * 8,
                {"tickSize": "2"},
                {"lotSize": "0.5", "maxQuantity": "8"},
                {"minNotional": "200", "minQuantity": "2"},
                {"bandPercent": "1"},
                {"minPrice": "98", "maxPrice": "101", "sessionEnd": "18:00"},
                {"status": "POST_ONLY"},
            )
        )
        answer = self.client.put(f"/instruments/{self.asset}", json=rules, headers=WAIT)
        assert answer.status_code == 200
        self.naive.change_instrument(instrument_rules(rules), self.now)
        return answer

    # What is made up.

    def order(self) -> dict[str, Any]:
        chance = self.chance
        [order_type] = chance.choices(tuple(TIMES), (12, 2, 3, 3))
        time_in_force = chance.choice(TIMES[order_type])
        quantity = chance.randint(1, 9)
        body = {
            "orderType": order_type,
            "timeInForce": time_in_force,
            "selfTradePrevention": chance.choice(("NONE", *SelfTradePrevention)),
        }
        if order_type.is_stop:
            body |= {"stopPrice": self.price(), "takeProfit": chance.random() < 0.3}
        is_limit = order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        side = chance.choice(tuple(Side))
        price = self.price()
        if chance.random() < 0.7:  # so that the book is not always empty
            price = str(
                100 - chance.randint(0, 3) if side is Side.BUY else chance.randint(101, 104)
            )
        if is_limit and time_in_force in RESTING:
            body["postOnly"] = chance.random() < 0.15
            if chance.random() < 0.2:
                body["displayQuantity"] = str(chance.randint(1, quantity))
        if time_in_force is TimeInForce.GTD:
            expires_at = self.now + timedelta(seconds=chance.randint(-1, 120))
            body["expiresAt"] = expires_at.isoformat()
        is_by_amount = order_type is OrderType.MARKET and chance.random() < 0.4
        if is_by_amount and time_in_force is TimeInForce.IOC:
            body["quoteQuantity"] = self.amount(900)
        return order(
            userId=chance.choice(self.users),
            asset=self.asset,
            type=side,
            price=price if is_limit else None,
            quantity=None if "quoteQuantity" in body else str(quantity),
            **body,
        )

    def price(self) -> str:
        return str(self.chance.randint(97, 103))

    def amount(self, most: int) -> str:
        return str(self.chance.randint(1, most))

    # What there is to see.

    def check(self, answer: Response, order_id: UUID) -> None:
        """An order as it is told is as the naive book has it."""
        told, expected = exact(answer), self.naive.everyone[order_id]
        assert {name: told[name] for name in facts(expected)} == facts(expected)
        limit = expected.limit
        assert limit is None or format_units(limit) in told["reasonText"]

    def check_book(self) -> None:
        read = self.client.get(f"/books/{self.asset}?level=3", headers=self.position)
        sides = exact(read)
        for side, name in ((Side.BUY, "bids"), (Side.SELL, "asks")):
            assert sides[name] == [
                {
                    "orderId": str(resting.order),
                    "price": format_units(resting.price or 0),
                    "quantity": format_units(resting.shown),
                }
                for resting in self.naive.queue(side)
            ]

    def check_trades(self) -> None:
        read = self.client.get(f"/trades?asset={self.asset}&limit=1000", headers=self.position)
        names = ("tradeId", "makerOrderId", "takerOrderId", "price", "quantity")
        assert [[trade[name] for name in names] for trade in exact(read)["trades"]] == [
            [
                str(trade.trade_id),
                str(trade.maker),
                str(trade.taker),
                format_units(trade.price),
                format_units(trade.quantity),
            ]
            for trade in reversed(self.naive.trades)
        ]


def facts(expected: NaiveOrder) -> dict[str, str | None]:
    """What an order's JSON is to say."""
    amounts = {
        "price": expected.price,
        "quantity": expected.quantity,
        "stopPrice": expected.stop_price,
        "displayQuantity": expected.display_quantity,
        "filledQuantity": expected.filled,
        "remainingQuantity": None if expected.quantity is None else expected.remaining,
        "averagePrice": average_price(expected.notional, expected.filled),
    }
    texts = {
        name: None if units is None else format_units(units) for name, units in amounts.items()
    }
    texts["filledNotional"] = format_notional(expected.notional)
    return {**texts, "status": expected.status, "reason": expected.reason}


@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_of_commands_leaves_what_the_naive_book_has(
    service: Service, seed: int
) -> None:
    market = Against(service, seed)
    for number in range(300):
        market.step()
        if number % 10 == 9:
            market.check_book()
    market.check_trades()
    for order_id in market.ids:
        read = service.client.get(f"/orders/{order_id}", headers=market.position)
        market.check(read, order_id)
    assert market.naive.trades


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
    read = service.client.get(f"/trades?asset={asset}&limit=1000", headers=shown(last))
    trades = read.json["trades"]
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
