"""Orders at a fixed rate, whether the service keeps up or not: POST -> fill visible by GET.

A process of its own, that is told on standard input to `go` on for a number of orders, and to
`tell` what it found since it last did. Makers are placed beforehand, so that each order trades
at once, with one maker. Latency counts from the moment at which an order was to be sent, so
that an order that had to wait for its turn has waited (no coordinated omission).
"""

import asyncio
import json
import sys
import time
from typing import Any, NamedTuple, Self

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from benchmarks.http_client import Client, get, post
from benchmarks.running import Child

ASSETS = 10
_PRICE = 45_000
_MAKERS_AT_ONCE = 1_000
_ENOUGH = 60_000_000  # microseconds, the largest that is told apart, and waited for
_AGAIN_SECONDS = 0.001


class Generator(NamedTuple):
    """The process, as whoever measures sees it."""

    child: Child
    rate: int

    @classmethod
    def start(cls, port: int, rate: int, makers: int) -> Self:
        """Return when the makers are placed, which is before they are matched."""
        child = Child(["benchmarks.open_loop", str(port), str(rate), str(makers)])
        child.hear()
        return cls(child, rate)

    def run(self, seconds: float) -> None:
        self.child.say(f"go {int(seconds * self.rate)}")
        self.child.hear()

    def tell(self) -> dict[str, Any]:
        """Return the findings since the last call."""
        self.child.say("tell")
        found: dict[str, Any] = json.loads(self.child.hear())
        return found


class OpenLoop:
    """The requests that are sent, and their answers."""

    def __init__(self, client: Client, rate: int) -> None:
        self._client = client
        self._rate = rate
        self._number = 0
        self._makers = 0
        self._forget()

    def _forget(self) -> None:
        self._fills = HdrHistogram(1, _ENOUGH, 3)
        self._posts = HdrHistogram(1, _ENOUGH, 3)
        self._refused = 0
        self._early = 0  # GETs that came back without the fill, or with 503
        self._sent = 0
        self._seconds = 0.0
        self._cpu = 0.0

    async def place_makers(self, count: int) -> None:
        for start in range(0, count, _MAKERS_AT_ONCE):
            entries = [_order("maker", n, "SELL") for n in range(start, start + _MAKERS_AT_ONCE)]
            answer = await self._client.ask(
                post("/orders/batch", '{"orders":[' + ",".join(entries) + "]}")
            )
            if answer.status != 200:
                raise RuntimeError(f"makers: {answer.status} {answer.body.decode()}")
        self._makers += count

    async def go(self, count: int) -> None:
        """Sends orders at the rate, and returns when all are done."""
        if self._number + count > self._makers:
            raise RuntimeError(f"only {self._makers} makers were placed")
        tasks = []
        started, cpu = time.monotonic(), time.process_time()
        for index in range(count):
            due = started + index / self._rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            tasks.append(asyncio.create_task(self._fill(self._number + index, due)))
        await asyncio.gather(*tasks)
        self._number += count
        self._sent += count
        self._seconds += time.monotonic() - started
        self._cpu += time.process_time() - cpu

    def tell(self) -> dict[str, Any]:
        """Milliseconds; ``cpu`` is the part of one core that this load took."""
        found = {
            "rate": self._sent / self._seconds,
            "refused": self._refused,
            "early": self._early,
            "cpu": self._cpu / self._seconds,
            "posted": _percentiles(self._posts),
            "filled": _percentiles(self._fills),
        }
        self._forget()
        return found

    async def _fill(self, number: int, due: float) -> None:
        """``due`` is when the order is to be sent."""
        try:
            answer = await self._client.ask(post("/orders", _order("taker", number, "BUY")))
        except OSError:  # so far behind that it takes no connections
            self._refused += 1
            self._posts.record_value(_ENOUGH)
            self._fills.record_value(_ENOUGH)
            return
        _record(self._posts, due)
        if answer.status != 201:
            self._refused += 1
            return
        look = get(answer.header("location"), answer.header("position"))
        while not await self._is_filled(look):
            self._early += 1
            if _since(due) >= _ENOUGH:
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        _record(self._fills, due)

    async def _is_filled(self, look: bytes) -> bool:
        try:
            return b'"status":"FILLED"' in (await self._client.ask(look)).body
        except OSError:  # so far behind that it takes no connections
            return False


def _order(user: str, number: int, side: str) -> str:
    return (
        f'{{"userId":"{user}-{number % 1000}","asset":"FILL-{number % ASSETS}","type":"{side}",'
        f'"price":{_PRICE},"quantity":1}}'
    )


def _record(histogram: HdrHistogram, due: float) -> None:
    histogram.record_value(min(_since(due), _ENOUGH))


def _since(due: float) -> int:
    return int((time.monotonic() - due) * 1e6)


def _percentiles(histogram: HdrHistogram) -> dict[str, float]:
    """In milliseconds."""
    return {
        f"p{percent:g}": histogram.get_value_at_percentile(percent) / 1000
        for percent in (50, 99, 99.9, 100)
    }


async def main(port: int, rate: int, makers: int) -> None:
    client = Client(port)
    loop = OpenLoop(client, rate)
    await loop.place_makers(makers)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        word, *count = line.split()
        if word == "go":
            await loop.go(int(*count))
            print("done", flush=True)
        else:
            print(json.dumps(loop.tell()), flush=True)
    client.close()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
