"""The loads on a service over HTTP, on the cores that it runs on itself."""

import asyncio
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.http_client import Answer, Client, get, post
from benchmarks.open_loop import Generator

_SCRIPT = Path(__file__).with_name("requests.lua")
_BLOCK = 50  # requests, then as many commits
_VIEWS_OF_A_PROBE = ("/books/PROBE", "/trades?asset=PROBE")  # and the order itself
_PATIENCE = 300.0  # seconds
_KEPT_UP = 0.99
_USERS_READ = 20


def closed_loop(
    port: int, connections: int, seconds: int, kind: str = "ours", paths: Sequence[str] = ()
) -> dict[str, Any]:
    """Return wrk's results: requests a second, milliseconds, and answers of another status."""
    done = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"),
            *("-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", kind, *paths),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.partition("RESULT ")[2])
    accepted = result["requests"] - result["refused"]
    return {**result, "accepted": accepted, "rate": accepted / result["microseconds"] * 1e6}


def open_loop(port: int, rate: int, seconds: int) -> dict[str, Any]:
    """Return the latencies of orders at a fixed rate, from the generator that `open_loop` is."""
    generator = Generator.start(port, rate, rate * (seconds + 1))
    with generator.child:
        asyncio.run(until_shown(port))
        generator.run(1)
        generator.tell()  # warm now, it counts from here
        generator.run(seconds)
        found = generator.tell()
    return {**found, "sustained": is_sustained(found, rate)}


def is_sustained(found: dict[str, Any], rate: int) -> bool:
    """Test if nothing was refused, and all was visible by 1 % of the load's duration after it."""
    rate_with_fills: float = found["rate"]
    return not found["refused"] and rate_with_fills >= _KEPT_UP * rate


async def until_shown(port: int) -> None:
    """Wait until all views show an order that is placed now, and so all that came before it.

    It asks as a client would, whatever the tables of that checkout are. Raises TimeoutError.
    """
    client = Client(port)
    async with asyncio.timeout(_PATIENCE):
        placed = await _answer(client, post("/orders", _order("PROBE", "BUY")), 201)
        position = placed.header("position")
        for path in (placed.header("location"), *_VIEWS_OF_A_PROBE):
            await _answer(client, get(path, position), 200)
    client.close()


async def wait_and_commit(port: int, url: str, count: int) -> tuple[list[float], list[float]]:
    """Return milliseconds of requests that wait for matching, and of bare commits, in turns."""
    client = Client(port)
    waits: list[float] = []
    commits: list[float] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS public.bare (number bigint)")
        while len(waits) < count:
            for number in range(_BLOCK):
                body = _order("WAIT", "BUY" if number % 2 else "SELL")
                begun = time.perf_counter()
                answer = await client.ask(post("/orders", body, "wait=10"))
                waits.append((time.perf_counter() - begun) * 1000)
                if answer.status != 201 or b'"PENDING"' in answer.body:
                    raise RuntimeError(f"Prefer: wait: {answer.status} {answer.body.decode()}")
            await asyncio.sleep(0.5)  # the views write behind the answers
            for number in range(_BLOCK):
                begun = time.perf_counter()
                connection.execute("INSERT INTO public.bare VALUES (%s)", [number])
                commits.append((time.perf_counter() - begun) * 1000)
    client.close()
    return waits, commits


async def order_paths(port: int) -> list[str]:
    """Return the paths of some users' orders, to read them."""
    client = Client(port)
    paths: list[str] = []
    for user in range(_USERS_READ):
        answer = await _answer(client, get(f"/orders?userId=user-{user:04d}&limit=20"), 200)
        paths += (f"/orders/{order['orderId']}" for order in json.loads(answer.body)["orders"])
    client.close()
    return paths


async def _answer(client: Client, request: bytes, status: int) -> Answer:
    """Ask until the service has that answer: until then it may be behind."""
    while True:
        answer = await client.ask(request)
        if answer.status == status:
            return answer
        if answer.status != 503:
            raise RuntimeError(f"{answer.status} {answer.body.decode()}")
        await asyncio.sleep(0.05)


def _order(asset: str, side: str) -> str:
    return f'{{"userId":"user-1","asset":"{asset}","type":"{side}","price":45000,"quantity":1}}'
