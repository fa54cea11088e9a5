"""Orders at a fixed rate, whether the service keeps up or not: POST -> fill visible by GET.

A process of its own. Makers are placed beforehand, so that each order trades at once, with
one maker. Latency counts from the moment at which an order was to be sent, so that an order
that had to wait for its turn has waited (no coordinated omission).
"""

import asyncio
import json
import sys
import time
from typing import Any

from hdrh.histogram import HdrHistogram

from benchmarks.http_client import Client, get, post

ASSETS = 10
_PRICE = 45_000
_MAKERS_AT_ONCE = 1_000
_ENOUGH = 60_000_000  # microseconds, the largest that the histogram tells apart
_AGAIN_SECONDS = 0.001


class OpenLoop:
    """What is sent, and what came of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._fills = HdrHistogram(1, _ENOUGH, 3)
        self._posts = HdrHistogram(1, _ENOUGH, 3)
        self._refused = 0
        self._early = 0  # GETs that came back without the fill, or with 503

    async def place_makers(self, count: int) -> None:
        for start in range(0, count, _MAKERS_AT_ONCE):
            entries = [_order("maker", n, "SELL") for n in range(start, start + _MAKERS_AT_ONCE)]
            answer = await self._client.ask(
                post("/orders/batch", '{"orders":[' + ",".join(entries) + "]}")
            )
            if answer.status != 200:
                raise RuntimeError(f"makers: {answer.status} {answer.body.decode()}")

    async def run(self, rate: int, count: int) -> dict[str, Any]:
        tasks = []
        started, cpu = time.monotonic(), time.process_time()
        for number in range(count):
            due = started + number / rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            tasks.append(asyncio.create_task(self._fill(number, due)))
        await asyncio.gather(*tasks)
        seconds = time.monotonic() - started
        return {
            "rate": count / seconds,
            "refused": self._refused,
            "early": self._early,
            "cpu": (time.process_time() - cpu) / seconds,
            "posted": _percentiles(self._posts),
            "filled": _percentiles(self._fills),
        }

    async def _fill(self, number: int, due: float) -> None:
        """``due`` is when the order is to be sent."""
        answer = await self._client.ask(post("/orders", _order("taker", number, "BUY")))
        _record(self._posts, due)
        if answer.status != 201:
            self._refused += 1
            return
        look = get(answer.header("location"), answer.header("position"))
        while b'"status":"FILLED"' not in (await self._client.ask(look)).body:
            self._early += 1
            await asyncio.sleep(_AGAIN_SECONDS)
        _record(self._fills, due)


def _order(user: str, number: int, side: str) -> str:
    return (
        f'{{"userId":"{user}-{number % 1000}","asset":"FILL-{number % ASSETS}","type":"{side}",'
        f'"price":{_PRICE},"quantity":1}}'
    )


def _record(histogram: HdrHistogram, due: float) -> None:
    histogram.record_value(min(int((time.monotonic() - due) * 1e6), _ENOUGH))


def _percentiles(histogram: HdrHistogram) -> dict[str, float]:
    """In milliseconds."""
    return {
        f"p{percent:g}": histogram.get_value_at_percentile(percent) / 1000
        for percent in (50, 99, 99.9, 100)
    }


async def main(port: int, rate: int, count: int) -> None:
    client = Client(port)
    loop = OpenLoop(client)
    await loop.place_makers(count)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(await loop.run(rate, count)), flush=True)
    client.close()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
