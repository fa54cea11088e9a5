"""Replay of a file of commands to a running service, with a check of the fills.

A line is a JSON object: ``op`` is new, cancel, or final; a new order has ``id``, ``side``,
``price``, ``qty``, ``tif``, and perhaps ``expect_fills``, [[maker id, price, qty], ...];
final has the best ``bids`` and ``asks``, [[price, qty, orders], ...], and ``open_orders``.
Prices are integers, in units of 0.0001.
"""

import gzip
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import httpx

PRICE_DECIMALS = 4
_PAUSE_SECONDS = 0.2


class Report(NamedTuple):
    commands: int
    seconds: float
    rate: float
    trades: int
    expected_fills: int
    differences: list[str]


def read_commands(path: Path) -> list[dict[str, Any]]:
    """Read a file of commands, compressed or not.

    Raises ValueError naming the line, OSError for a file that can't be read.
    """
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    commands: list[dict[str, Any]] = []
    placed: set[str] = set()
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            command = json.loads(line)
            _check(command, placed)
        except (ValueError, KeyError, TypeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ValueError(f"{path.name}, line {number}: not a command: {reason}") from None
        commands.append(command)
    return commands


def _check(command: dict[str, Any], placed: set[str]) -> None:
    """Check a command; note a new order in ``placed``. Raises ValueError, KeyError or TypeError."""
    match command["op"]:
        case "new":
            for field, kind in (("side", str), ("tif", str), ("price", int), ("qty", int)):
                if not isinstance(command[field], kind):
                    raise TypeError(f"{field} is no {kind.__name__}")
            placed.add(command["id"])
        case "cancel":
            if command["id"] not in placed:
                raise ValueError(f"{command['id']} was not placed before")
        case "final":
            _ = command["bids"], command["asks"], command["open_orders"]
        case other:
            raise ValueError(f"op is {other}")


class Replay:
    """One run of a file. Its orders have a clientOrderId, so that a request may be repeated."""

    def __init__(self, client: httpx.Client, asset: str, run: str, patience: float) -> None:
        self._client = client
        self._asset = asset
        self._run = run
        self._patience = patience  # seconds to go on trying while the service is away
        self._order_ids: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._position: dict[str, str] = {}

    def send(self, commands: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Send the commands one after the other, yielding each that was acknowledged."""
        for command in commands:
            match command["op"]:
                case "new":
                    self._place(command)
                case "cancel":
                    self._write("DELETE", f"/orders/{self._order_ids[command['id']]}")
            yield command

    def report(self, commands: list[dict[str, Any]], seconds: float) -> Report:
        """Compare the fills with those that the file expects, if it expects any."""
        differences = []
        expected_fills = 0
        for command in commands:
            if "expect_fills" in command:
                expected = [tuple(fill) for fill in command["expect_fills"]]
                expected_fills += len(expected)
                found = self._fills_of(command["id"])
                if found != expected:
                    differences.append(f"fills of {command['id']}: {found}, expected {expected}")
            elif command["op"] == "final":
                differences += self._compare_book(command)
        sent = sum(command["op"] != "final" for command in commands)
        trades = len(self._trades(asset=self._asset))
        return Report(sent, seconds, sent / seconds, trades, expected_fills, differences)

    def _place(self, command: dict[str, Any]) -> None:
        order = self._write(
            "POST",
            "/orders",
            {
                "userId": "replay",
                "asset": self._asset,
                "type": command["side"],
                "price": format(Decimal(command["price"]).scaleb(-PRICE_DECIMALS), "f"),
                "quantity": str(command["qty"]),
                "timeInForce": command["tif"],
                "clientOrderId": f"{self._run}-{command['id']}",
            },
        ).json()
        self._order_ids[command["id"]] = order["orderId"]
        self._names[order["orderId"]] = command["id"]

    def _write(self, method: str, path: str, body: Any = None) -> httpx.Response:
        response = self._request(method, path, json=body)
        if response.is_error and not (
            method == "DELETE" and response.status_code == HTTPStatus.CONFLICT
        ):
            msg = f"{method} {path}: {response.status_code} {response.text}"
            raise httpx.HTTPStatusError(msg, request=response.request, response=response)
        if "Position" in response.headers:
            self._position = {"Position": response.headers["Position"]}
        return response

    def _read(self, path: str, **query: str) -> Any:
        response = self._request("GET", path, params=query, headers=self._position)
        response.raise_for_status()
        return json.loads(response.text, parse_float=Decimal)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask again while the service is unavailable; every request of ours may be repeated."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                response = self._client.request(method, path, **options)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                if (
                    response.status_code != HTTPStatus.SERVICE_UNAVAILABLE
                    or time.monotonic() > deadline
                ):
                    return response
            time.sleep(_PAUSE_SECONDS)

    def _trades(self, **query: str) -> list[dict[str, Any]]:
        trades: list[dict[str, Any]] = []
        while True:
            page = self._read("/trades", limit="1000", **query)
            trades += page["trades"]
            if page["nextCursor"] is None:
                return trades[::-1]
            query["cursor"] = page["nextCursor"]

    def _fills_of(self, name: str) -> list[tuple[str, int, int]]:
        order_id = self._order_ids[name]
        return [
            (
                self._names.get(trade["makerOrderId"], trade["makerOrderId"]),
                _ticks(trade["price"]),
                int(trade["quantity"]),
            )
            for trade in self._trades(orderId=order_id)
            if trade["takerOrderId"] == order_id
        ]

    def _compare_book(self, final: dict[str, Any]) -> list[str]:
        differences = []
        book = self._read(f"/books/{self._asset}", depth="1000")
        for side in ("bids", "asks"):
            expected = [tuple(level) for level in final[side]]
            levels = [
                (_ticks(level["price"]), int(level["quantity"]), int(level["orders"]))
                for level in book[side][: len(expected)]
            ]
            if levels != expected:
                differences.append(f"final {side}: {levels}, expected {expected}")
        open_orders = sum(int(level["orders"]) for side in ("bids", "asks") for level in book[side])
        if open_orders != final["open_orders"]:
            differences.append(f"open orders: {open_orders}, expected {final['open_orders']}")
        return differences


def _ticks(price: Decimal | int) -> int:
    return int(Decimal(price).scaleb(PRICE_DECIMALS))
