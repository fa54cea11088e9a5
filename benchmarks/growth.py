"""Costs that grow with the resting orders and the books: 10 thousand to 1 million orders.

In memory: the 99th percentile of a match, and bytes of a resting order. With the database:
`Matching ready`, from the start of the engine's process to a first new command decided for
every book.
"""

import json
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import uuid4

import click
import psycopg

from application.orders import Placement
from benchmarks.measuring import Figure, Report, conditions, output, publish, tell
from benchmarks.our_pipeline import engine
from benchmarks.running import Child, fresh_database, postgres
from benchmarks.seeding import resting, seed
from domain.values import Side, Terms, TimeInForce
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import build, create_tables

_BATCH = 4_000
_POLL_SECONDS = 0.01
_PATIENCE_SECONDS = 600

_DECIDED = (
    "SELECT coalesce(max(notification_id), 0) FROM matching_tracking"
    " WHERE application_name = 'Orders'"
)


def in_memory(count: int, assets: int, matches: int) -> dict[str, float]:
    """In a process of its own, so that its memory is that of the books."""
    with Child(["benchmarks.growth_memory", str(count), str(assets), str(matches)]) as child:
        found: dict[str, float] = json.loads(child.hear())
        return found


def ready_seconds(server: EmbeddedPostgres, count: int, assets: int, runs: int) -> list[float]:
    """From the start of the engine's process until every book has decided a new command."""
    with fresh_database(server.url) as url, psycopg.connect(url, autocommit=True) as connection:
        env = database_env(url)
        create_tables(env)
        with click.progressbar(length=count, label="Seeding", file=sys.stderr) as progress:
            seed(url, resting(count, assets), progress.update)
        return [_ready(url, env, connection, assets) for _ in range(runs)]


def _ready(url: str, env: dict[str, str], connection: psycopg.Connection, assets: int) -> float:
    placements = [
        Placement(
            uuid4(),
            Terms("user", f"ASSET-{n}", Side.BUY, 1, 1, time_in_force=TimeInForce.IOC),
        )
        for n in range(assets)
    ]
    with closing(build(env)) as market:
        last = market.orders.place_all(placements, datetime.now(UTC))[-1]
    begun = time.monotonic()
    with engine(url, _BATCH) as child:
        while True:
            row = connection.execute(_DECIDED).fetchone()
            now = time.monotonic()
            if row is not None and row[0] >= last.position:  # type: ignore[union-attr]
                return now - begun
            if now - begun > _PATIENCE_SECONDS:
                raise TimeoutError(f"Matching is not ready after {_PATIENCE_SECONDS} s")
            child.check()
            time.sleep(_POLL_SECONDS)


def measure(runs: int, sizes: tuple[int, ...], assets: tuple[int, ...], matches: int) -> Report:
    p99: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    ready: dict[str, list[float]] = {}
    cases = {f"{_short(size)}/{books}": (size, books) for size, books in product(sizes, assets)}
    for _ in range(runs):
        for name, (size, books) in cases.items():
            tell(f"{size} resting orders, {books} books, in memory")
            found = in_memory(size, books, matches)
            p99.setdefault(name, []).append(found["p99"])
            memory.setdefault(name, []).append(found["bytes"])
    with postgres() as server:
        for name, (size, books) in cases.items():
            tell(f"{size} resting orders, {books} books, from the start")
            ready[name] = ready_seconds(server, size, books, runs)
        with psycopg.connect(server.url) as connection:
            where = conditions(connection)
    return Report(
        "growth",
        {"runs": runs, "sizes": list(sizes), "books": list(assets), "matches": matches},
        [
            Figure("p99 of a match", "us", p99, next(iter(cases))),
            Figure("memory of a resting order", "bytes", memory),
            Figure("Matching ready", "s", ready),
        ],
        where,
    )


def _short(number: int) -> str:
    """10k, 1M."""
    for unit, sign in ((1_000_000, "M"), (1_000, "k")):
        if number % unit == 0:
            return f"{number // unit}{sign}"
    return str(number)


@click.command()
@click.option("--runs", default=3)
@click.option("--size", "sizes", multiple=True, default=(10_000, 100_000, 1_000_000))
@click.option("--books", "assets", multiple=True, default=(1, 1_000))
@click.option("--matches", default=20_000, help="Timed in each run.")
@output
def main(  # noqa: PLR0913 - one parameter an option
    runs: int,
    sizes: tuple[int, ...],
    assets: tuple[int, ...],
    matches: int,
    results: Path,
    *,
    as_json: bool,
) -> None:
    """Measure matching as the books grow."""
    publish(measure(runs, sizes, assets, matches), results, as_json=as_json)
