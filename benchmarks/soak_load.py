"""The load of users at a fixed rate: orders of every type, cancels, amends, reads.

A process of its own. It sends whether the service keeps up or not, and latency counts from the
moment at which a request was to be sent (no coordinated omission). An order waits for its
decision (`Prefer: wait`), so its answer is the moment from which it is known to be decided.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from benchmarks.http_client import Answer, Client, get, post

USERS = 1_000
_PRICE = 45_000
_DEPTH = 50  # ticks of 0.01
_OPEN = 5_000  # orders that are kept to be cancelled and amended
_CONNECTIONS = 64  # when it goes as fast as it can
_SECONDS = 30.0  # after which an answer is given up
# Parts of all requests.
_KINDS = {"place": 66, "cancel": 14, "amend": 8, "read": 10, "mass cancel": 2}


class Load:
    """The requests that are sent, and their answers."""

    def __init__(self, port: int, rate: int, assets: int, seed: int) -> None:
        self._client = Client(port)
        self._rate = rate
        self._assets = assets
        self._random = Random(seed)
        self._open: deque[str] = deque(maxlen=_OPEN)
        self._number = 0
        self.statuses: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
        self.placed: list[tuple[float, float]] = []  # when it was due, and how long it took
        self.decided: Counter[int] = Counter()  # orders, by the second of the run
        self._types: tuple[Callable[[], dict[str, Any]], ...] = (
            dict,
            dict,
            dict,
            lambda: {"timeInForce": "IOC"},
            lambda: {"timeInForce": "FOK"},
            lambda: {"postOnly": True},
            lambda: {"orderType": "MARKET", "price": None},
            lambda: {"orderType": "MARKET", "price": None, "quantity": None, "quoteQuantity": 900},
            lambda: {"orderType": "STOP", "price": None, "stopPrice": self._price(2 * _DEPTH)},
            lambda: {"orderType": "STOP_LIMIT", "stopPrice": self._price(2 * _DEPTH)},
            lambda: {"quantity": 0.5, "displayQuantity": 0.05},
            lambda: {"timeInForce": "GTD", "expiresAt": _in_seconds(self._random.randint(2, 60))},
            lambda: {"timeInForce": "DAY"},
            lambda: {"selfTradePrevention": "CANCEL_TAKER"},
        )

    async def run(self, seconds: float) -> float:
        """Send at the rate; return the moment (of the monotonic clock) at which it began."""
        tasks: set[asyncio.Task[None]] = set()
        begun = time.monotonic()
        for index in range(int(seconds * self._rate)):
            due = begun + index / self._rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            task = asyncio.create_task(self._do(self._kind(), begun, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        self._client.close()
        return begun

    async def run_closed(self, seconds: float) -> float:
        """Send the next request once one is answered; return the moment at which it began."""
        begun = time.monotonic()
        await asyncio.gather(*(self._repeat(begun, seconds) for _ in range(_CONNECTIONS)))
        self._client.close()
        return begun

    async def _repeat(self, begun: float, seconds: float) -> None:
        while time.monotonic() < begun + seconds:
            await self._do(self._kind(), begun, time.monotonic())

    def _kind(self) -> str:
        [kind] = self._random.choices(list(_KINDS), list(_KINDS.values()))
        return kind

    async def _do(self, kind: str, begun: float, due: float) -> None:
        request = self._request(kind)
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._client.ask(request)
        except TimeoutError:
            self.statuses[kind]["no answer"] += 1
            return
        except OSError as error:
            self.statuses[kind][f"no connection: {error}"] += 1
            return
        self.statuses[kind][str(answer.status)] += 1
        if kind == "place" and answer.status == 201:
            self._note(answer, begun, due)

    def _note(self, answer: Answer, begun: float, due: float) -> None:
        order = json.loads(answer.body)
        if order["status"] == "PENDING":
            self.statuses["place"]["201, not decided"] += 1
            return
        now = time.monotonic()
        self.decided[int(now - begun)] += 1
        self.placed.append((due - begun, (now - due) * 1000))
        if order["status"] in {"OPEN", "PARTIALLY_FILLED"}:
            self._open.append(order["orderId"])

    def _request(self, kind: str) -> bytes:
        random = self._random
        if kind in {"cancel", "amend"} and not self._open:
            kind = "read"
        if kind == "place":
            return post("/orders", self._order(), "wait=10")
        if kind == "cancel":
            place = random.randrange(len(self._open))
            self._open.rotate(-place)
            return _request("DELETE", f"/orders/{self._open.popleft()}")
        if kind == "amend":
            place = random.randrange(len(self._open))
            changed = json.dumps({"quantity": random.randint(1, 300) / 1000})
            return _request("PATCH", f"/orders/{self._open[place]}", changed)
        if kind == "mass cancel":
            return _request("DELETE", f"/orders?userId={self._user()}")
        return get(
            random.choice(
                (
                    f"/orders?userId={self._user()}&status=OPEN",
                    f"/orders?userId={self._user()}&limit=20",
                    f"/books/{self._asset()}?depth=20",
                    f"/trades?asset={self._asset()}&limit=50",
                )
            )
        )

    def _order(self) -> str:
        random = self._random
        self._number += 1
        side = random.choice(("BUY", "SELL"))
        crosses = random.random() < 0.5
        away = _DEPTH if crosses else -random.randint(1, _DEPTH)
        order: dict[str, Any] = {
            "userId": self._user(),
            "asset": self._asset(),
            "type": side,
            "price": self._price(away if side == "BUY" else -away),
            "quantity": random.randint(1, 100 if crosses else 120) / 1000,
            **self._types[self._number % len(self._types)](),
        }
        return json.dumps({name: value for name, value in order.items() if value is not None})

    def _price(self, ticks: int) -> float:
        return round(_PRICE + ticks / 100, 2)

    def _user(self) -> str:
        return f"user-{self._random.randrange(USERS):04d}"

    def _asset(self) -> str:
        return f"ASSET-{self._random.randrange(self._assets)}"


def _in_seconds(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _request(method: str, path: str, body: str = "") -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def main(port: int, rate: int, seconds: int, assets: int, seed: int) -> None:
    """At that rate, or as fast as it can if that is 0."""
    load = Load(port, rate, assets, seed)
    begun = await (load.run(seconds) if rate else load.run_closed(seconds))
    found = {
        "begun": begun,
        "statuses": load.statuses,
        "placed": load.placed,
        "decided": load.decided,
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
