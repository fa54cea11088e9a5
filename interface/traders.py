"""Simulated traders, so that there is something to see: makers who quote, takers who cross."""

import random
import time
from collections import deque
from decimal import Decimal

import httpx

ASSETS = {"BTC-USD": Decimal(45000), "ETH-USD": Decimal(2500), "SOL-USD": Decimal(100)}
ORDERS_PER_SECOND = 20
_OPEN_QUOTES = 60
_CROSSING = 0.3  # of the orders
_BASIS_POINT = Decimal("0.0001")


class Traders:
    """Trade one asset around a price that wanders."""

    def __init__(
        self, client: httpx.Client, asset: str, price: Decimal, chance: random.Random
    ) -> None:
        self._client = client
        self._asset = asset
        self._price = price
        self._chance = chance
        self._quotes: deque[str] = deque()

    def trade(self) -> None:
        """One order: a quote off the price, sometimes one that crosses; old quotes go."""
        self._price += self._price * _BASIS_POINT * self._chance.randint(-3, 3)
        side = self._chance.choice(("BUY", "SELL"))
        away = 1 if side == "SELL" else -1
        if self._chance.random() < _CROSSING:
            self._place(side, -away * self._chance.randint(1, 15), "IOC")
        else:
            quote = self._place(side, away * self._chance.randint(1, 30), "GTC")
            self._quotes.append(quote)
        if len(self._quotes) > _OPEN_QUOTES:
            self._client.delete(f"/orders/{self._quotes.popleft()}")

    def _place(self, side: str, basis_points: int, time_in_force: str) -> str:
        price = self._price * (1 + _BASIS_POINT * basis_points)
        response = self._client.post(
            "/orders",
            json={
                "userId": f"trader-{self._chance.randint(1, 9)}",
                "asset": self._asset,
                "type": side,
                "price": str(price.quantize(Decimal("0.01"))),
                "quantity": str(Decimal(self._chance.randint(1, 200)) / 100),
                "timeInForce": time_in_force,
            },
        )
        response.raise_for_status()
        order_id: str = response.json()["orderId"]
        return order_id


def trade_forever(url: str) -> None:
    """Trades until the process is stopped; waits while the service is away."""
    chance = random.Random()  # noqa: S311 - a simulation
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        traders = [Traders(client, asset, price, chance) for asset, price in ASSETS.items()]
        while True:
            try:
                chance.choice(traders).trade()
            except httpx.HTTPError:
                time.sleep(1)
            time.sleep(1 / ORDERS_PER_SECOND)
