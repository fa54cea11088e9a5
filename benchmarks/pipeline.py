"""Orders placed -> matched -> both orders updated -> visible in every view: orders a second.

Two figures of the whole way. ``batches``: one process places batches of 1 000 while the
engine works; from the first placing until everything is visible. ``backlog``: everything is
placed first, the engine (up, warm, and stopped meanwhile) then takes batches of up to 4 000.
A third one, ``stored``: events a second of our recorder, against COPY of the same rows.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import click
import psycopg

from benchmarks import our_pipeline, raw_pipeline, stock_pipeline
from benchmarks.measuring import Figure, Report, conditions, in_turns, output, publish
from benchmarks.placing import Placer
from benchmarks.running import Child, cpu_seconds, fresh_database, postgres
from benchmarks.storing import stored_by_copy, stored_by_recorder
from benchmarks.visible import until_visible
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import create_tables

class Pipeline(NamedTuple):
    """How one candidate's processes are started, given a database and a batch size."""

    engine: Callable[[str, int], Child]
    placer: tuple[str, ...]  # its module and arguments; the URL comes last


PIPELINES: Final = {
    "ours": Pipeline(our_pipeline.engine, ("benchmarks.our_pipeline",)),
    "raw": Pipeline(raw_pipeline.engine, ("benchmarks.raw_pipeline", "place")),
    "stock": Pipeline(stock_pipeline.engine, ("benchmarks.stock_pipeline", "place")),
}


class Outcome(NamedTuple):
    """Orders a second, and microseconds of CPU that an order took."""

    rate: float
    cpu: dict[str, float]


def run(server: EmbeddedPostgres, name: str, count: int, batch: int, *, backlog: bool) -> Outcome:
    """One run of a candidate in a database of its own."""
    with fresh_database(server.url) as url:
        create_tables(database_env(url))
        return run_in(url, server.pid, name, count, batch, backlog=backlog)


def run_in(  # noqa: PLR0913 - what is run, and on what
    url: str, server: int, name: str, count: int, batch: int, *, backlog: bool
) -> Outcome:
    """One run, by a server with that pid, in an empty database that has its tables."""
    pipeline = PIPELINES[name]
    with (
        psycopg.connect(url, autocommit=True) as connection,
        pipeline.engine(url, batch) as engine,
        Child([*pipeline.placer, url]) as child,
    ):
        placer = Placer(child, count, min(batch, 1_000))
        until_visible(connection, placer.warm_up.position, engine.check)
        pids = {"placer": child.pid, "engine": engine.pid, "PostgreSQL": server}
        before = {part: cpu_seconds(pid) for part, pid in pids.items()}
        if backlog:
            engine.pause()
        placed = placer.place_all()
        begun = placed.begun
        if backlog:
            before = {part: cpu_seconds(pid) for part, pid in pids.items()}
            begun = time.monotonic()
            engine.resume()
        ended = until_visible(connection, placed.position, engine.check)
        used = {part: cpu_seconds(pid) - before[part] for part, pid in pids.items()}
    return Outcome(
        count / (ended - begun), {part: seconds / count * 1e6 for part, seconds in used.items()}
    )


def measure(
    runs: int, orders: int, backlog: int, stock: int, events: int, batch: int, queued_batch: int
) -> Report:
    with postgres() as server:
        whole = ("ours", "raw")
        batches = in_turns(
            runs,
            {
                **{n: lambda n=n: run(server, n, orders, batch, backlog=False) for n in whole},
                "stock": lambda: run(server, "stock", stock, 1, backlog=False),
            },
        )
        queued = in_turns(
            runs, {n: lambda n=n: run(server, n, backlog, queued_batch, backlog=True) for n in whole}
        )
        stored = in_turns(
            runs,
            {
                "ours": lambda: stored_by_recorder(server.url, events),
                "raw": lambda: stored_by_copy(server.url, events),
            },
        )
        with psycopg.connect(server.url) as connection:
            found = conditions(connection)
    cpu = {
        f"CPU of an order, {figure}, us": {
            name: {part: statistics.median(o.cpu[part] for o in outcomes) for part in outcomes[0].cpu}
            for name, outcomes in of.items()
        }
        for figure, of in (("batches", batches), ("backlog", queued))
    }
    return Report(
        "pipeline",
        {
            "runs": runs,
            "orders": orders,
            "batch": batch,
            "backlog": backlog,
            "backlog batch": queued_batch,
            "stock": stock,
            "events": events,
        },
        [
            Figure(f"batches of {batch}", "orders/s", _rates(batches), "raw"),
            Figure(f"backlog, batches of {queued_batch}", "orders/s", _rates(queued), "raw"),
            Figure("stored, batches of 1 000", "events/s", stored, "raw"),
        ],
        found,
        cpu,
    )


def _rates(outcomes: dict[str, list[Outcome]]) -> dict[str, list[float]]:
    return {name: [outcome.rate for outcome in of] for name, of in outcomes.items()}


@click.command()
@click.option("--runs", default=5, help="Of each candidate.")
@click.option("--orders", default=50_000, help="Placed while the engine works.")
@click.option("--backlog", default=100_000, help="Orders that wait for the engine.")
@click.option("--stock", default=1_000, help="Orders for the library as it comes.")
@click.option("--events", default=100_000, help="Stored by the recorder alone.")
@click.option("--batch", default=1_000, help="Orders placed, and taken by the engine, at a time.")
@click.option("--backlog-batch", "queued_batch", default=4_000, help="The same with a backlog.")
@output
def main(results: Path, *, as_json: bool, **settings: int) -> None:
    """Orders a second, all the way from placing to the read models."""
    publish(measure(**settings), results, as_json=as_json)
