"""The whole service under load, engine and views included, on the cores of the load tool.

Closed loop: POST /orders by wrk over 1, 16 and 64 connections. Open loop: 1 000 orders a
second, POST -> fill visible by GET. And one client with `Prefer: wait`, in turns with bare
commits (one row, one connection) on the same disk.
"""

import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx
import psycopg

from benchmarks.http_client import Client, post
from benchmarks.measuring import Figure, Report, conditions, output, percentile, publish, tell
from benchmarks.open_loop import Generator
from benchmarks.running import Child, fresh_database, postgres
from benchmarks.visible import last_command, until_visible

CONNECTIONS = (1, 16, 64)
RATE = 1_000  # orders a second, in the open loop

_SCRIPT = Path(__file__).with_name("orders.lua")
_START_SECONDS = 60
_BLOCK = 50  # requests, then as many commits


class Service:
    """`ome run`, on a database and a port of its own."""

    def __init__(self, url: str, env: Mapping[str, str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.env = {
            "DATABASE_URL": url,
            "PORT": str(self.port),
            "LOG_LEVEL": "WARNING",
            **(env or {}),
        }
        self.child = Child(["interface.cli", "run"], self.env)
        self._connection = psycopg.connect(url, autocommit=True)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError("the service does not get ready")
            self.child.check()
            time.sleep(0.05)

    def wait_until_caught_up(self) -> None:
        until_visible(self._connection, last_command(self._connection), self.child.check)

    def verify(self) -> bool:
        with Child(["interface.cli", "verify", "--json"], self.env) as child:
            consistent: bool = json.loads(child.hear())["consistent"]
            return consistent

    def close(self) -> None:
        self._connection.close()

    def _is_ready(self) -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/ready", timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.is_success


def closed_loop(port: int, connections: int, seconds: int) -> dict[str, Any]:
    """Return wrk's results: requests a second, milliseconds, and answers that were not a 201."""
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "--timeout",
            "10s",
            "-s",
            str(_SCRIPT),
            f"http://127.0.0.1:{port}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.partition("RESULT ")[2])
    accepted = result["requests"] - result["refused"]
    return {**result, "rate": accepted / result["microseconds"] * 1e6}


def open_loop(service: Service, seconds: int) -> dict[str, Any]:
    generator = Generator.start(service.port, RATE, RATE * (seconds + 1))
    with generator.child:
        service.wait_until_caught_up()
        generator.run(1)
        generator.tell()  # warm now, it counts from here
        generator.run(seconds)
        return generator.tell()


async def wait_and_commit(port: int, url: str, count: int) -> tuple[list[float], list[float]]:
    """Return milliseconds of requests that wait for matching, and of bare commits, in turns."""
    client = Client(port)
    waits: list[float] = []
    commits: list[float] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS public.bare (number bigint)")
        while len(waits) < count:
            for number in range(_BLOCK):
                side = "BUY" if number % 2 else "SELL"
                body = (
                    f'{{"userId":"user-1","asset":"WAIT","type":"{side}","price":45000,'
                    '"quantity":1}'
                )
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


def run(server_url: str, seconds: int, waits: int, *, verify: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with fresh_database(server_url) as url:
        service = Service(url)
        with service.child:
            service.wait_until_ready()
            closed_loop(service.port, 4, 2)  # warms up
            for connections in CONNECTIONS:
                tell(f"  {connections} connections")
                service.wait_until_caught_up()
                found[f"closed {connections}"] = closed_loop(service.port, connections, seconds)
            service.wait_until_caught_up()
            tell(f"  {RATE} orders/s, open loop")
            found["open"] = open_loop(service, seconds)
            service.wait_until_caught_up()
            tell("  Prefer: wait")
            found["waits"], found["commits"] = asyncio.run(
                wait_and_commit(service.port, url, waits)
            )
            service.wait_until_caught_up()
            if verify:
                found["consistent"] = service.verify()
        service.close()
    return found


def measure(runs: int, seconds: int, waits: int, *, verify: bool) -> Report:
    found = []
    with postgres() as server:
        for number in range(1, runs + 1):
            tell(f"run {number} of {runs}")
            found.append(run(server.url, seconds, waits, verify=verify))
        with psycopg.connect(server.url) as connection:
            where = conditions(connection)
    closed = {f"{c} connections": [one[f"closed {c}"] for one in found] for c in CONNECTIONS}
    opened = [one["open"] for one in found]
    return Report(
        "http",
        {"runs": runs, "seconds": seconds, "waits": waits},
        [
            Figure("POST, closed loop", "201/s", _each(closed, "rate")),
            Figure("POST, closed loop, p99", "ms", _each(closed, "p99")),
            _open_figure("POST", "posted", opened),
            _open_figure("POST -> fill visible", "filled", opened),
            _waiting_figure(50, found),
            _waiting_figure(99, found),
        ],
        where,
        {
            "answers that are no 201": {
                name: sum(one["refused"] + one["errors"] for one in of)
                for name, of in closed.items()
            },
            "open loop": {
                "orders/s": statistics.median(one["rate"] for one in opened),
                "refused": sum(one["refused"] for one in opened),
                "looked too early": sum(one["early"] for one in opened),
                "cores of the generator": statistics.median(one["cpu"] for one in opened),
            },
            "consistent": {
                f"run {number}": one["consistent"]
                for number, one in enumerate(found, start=1)
                if "consistent" in one
            },
        },
    )


def _each(found: dict[str, list[dict[str, Any]]], what: str) -> dict[str, list[float]]:
    return {name: [one[what] for one in of] for name, of in found.items()}


def _open_figure(name: str, what: str, found: list[dict[str, Any]]) -> Figure:
    percentiles = ("p50", "p99", "p99.9")
    samples = {percent: [one[what][percent] for one in found] for percent in percentiles}
    return Figure(f"{name}, {RATE}/s, open loop", "ms", samples)


def _waiting_figure(percent: float, found: list[dict[str, Any]]) -> Figure:
    samples = {
        "Prefer: wait": [percentile(one["waits"], percent) for one in found],
        "bare commit": [percentile(one["commits"], percent) for one in found],
    }
    return Figure(f"one client, p{percent}", "ms", samples, "bare commit")


@click.command()
@click.option("--runs", default=3)
@click.option("--seconds", default=15, help="Of each load.")
@click.option("--waits", default=1_000, help="Requests with Prefer: wait.")
@click.option("--verify", is_flag=True, help="Decide everything again at the end of each run.")
@output
def main(results: Path, *, as_json: bool, **settings: Any) -> None:
    """Measure requests a second and latencies of the whole service."""
    if shutil.which("wrk") is None:
        raise click.ClickException(
            "wrk is not there: install it (apt install wrk, brew install wrk)"
        )
    publish(measure(**settings), results, as_json=as_json)
