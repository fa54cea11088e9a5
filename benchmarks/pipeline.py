"""Orders placed -> matched -> both orders updated -> visible in every view: orders a second.

Two figures are of the whole way. ``batches``: one process places while the engine works; from
the first placing until everything is visible. ``backlog``: everything is placed first; from
the moment at which the engine, which is up and warm and was stopped meanwhile, goes on. A
third one, ``stored``: events a second of our recorder, against COPY of the same rows.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import click
import psycopg

from benchmarks import our_pipeline, raw_pipeline, stock_pipeline
from benchmarks.measuring import Figure, Report, conditions, in_turns, output, publish
from benchmarks.placing import Placer
from benchmarks.running import Child, ProcessorTime, fresh_database, postgres
from benchmarks.storing import stored_by_copy, stored_by_recorder
from benchmarks.visible import until_visible
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import create_tables

_PLACED_AT_ONCE: Final = 1_000


class Pipeline(NamedTuple):
    """How the processes of a candidate are started."""

    engine: Callable[[str, int], Child]  # given a URL and a batch size
    placer: tuple[str, ...]  # its module and arguments; the URL comes last


PIPELINES: Final = {
    "ours": Pipeline(our_pipeline.engine, ("benchmarks.our_pipeline",)),
    "raw": Pipeline(raw_pipeline.engine, ("benchmarks.raw_pipeline", "place")),
    "stock": Pipeline(stock_pipeline.engine, ("benchmarks.stock_pipeline", "place")),
}


class Load(NamedTuple):
    """Orders, how many the engine takes at a time, and whether they wait for it."""

    orders: int
    batch: int
    backlog: bool


class Outcome(NamedTuple):
    """Orders a second, and microseconds of the processor that an order took in each part."""

    rate: float
    cpu: Mapping[str, float]


class Settings(NamedTuple):
    """As the options say it."""

    runs: int
    orders: int
    batch: int
    backlog: int
    backlog_batch: int
    stock: int
    events: int


def run(server: EmbeddedPostgres, name: str, load: Load) -> Outcome:
    """A run of a candidate, in a database of its own."""
    with fresh_database(server.url) as url:
        create_tables(database_env(url))
        return run_in(url, server.pid, name, load)


def run_in(url: str, server_pid: int, name: str, load: Load) -> Outcome:
    """A run of a candidate, in a database that has its tables and nothing in them."""
    pipeline = PIPELINES[name]
    with (
        psycopg.connect(url, autocommit=True) as connection,
        pipeline.engine(url, load.batch) as engine,
        Child([*pipeline.placer, url]) as placing,
    ):
        placer = Placer(placing, load.orders, min(load.batch, _PLACED_AT_ONCE))
        until_visible(connection, placer.warm_up.position, engine.check)
        used = ProcessorTime(
            {"placer": placing.pid, "engine": engine.pid, "PostgreSQL": server_pid}
        )
        if load.backlog:
            engine.pause()
        placed = placer.place_all()
        begun = placed.begun
        if load.backlog:
            used.begin()
            begun = time.monotonic()
            engine.resume()
        ended = until_visible(connection, placed.position, engine.check)
        cpu = {part: seconds / load.orders * 1e6 for part, seconds in used.seconds().items()}
    return Outcome(load.orders / (ended - begun), cpu)


def measure(settings: Settings) -> Report:
    runs, orders, batch, backlog, backlog_batch, stock, events = settings
    with postgres() as server:
        streamed, queued = (
            Load(orders, batch, backlog=False),
            Load(backlog, backlog_batch, backlog=True),
        )
        batches = in_turns(
            runs,
            {
                "ours": partial(run, server, "ours", streamed),
                "raw": partial(run, server, "raw", streamed),
                "stock": partial(run, server, "stock", Load(stock, 1, backlog=False)),
            },
        )
        backlogs = in_turns(
            runs, {name: partial(run, server, name, queued) for name in ("ours", "raw")}
        )
        stored = in_turns(
            runs,
            {
                "ours": partial(stored_by_recorder, server.url, events),
                "raw": partial(stored_by_copy, server.url, events),
            },
        )
        with psycopg.connect(server.url) as connection:
            found = conditions(connection)
    return Report(
        "pipeline",
        settings._asdict(),
        [
            Figure(f"batches of {batch}", "orders/s", _rates(batches), "raw"),
            Figure(f"backlog, batches of {backlog_batch}", "orders/s", _rates(backlogs), "raw"),
            Figure("stored, batches of 1 000", "events/s", stored, "raw"),
        ],
        found,
        {
            "CPU of an order, batches, us": _cpu(batches),
            "CPU of an order, backlog, us": _cpu(backlogs),
        },
    )


def _rates(outcomes: Mapping[str, list[Outcome]]) -> dict[str, list[float]]:
    return {name: [outcome.rate for outcome in of] for name, of in outcomes.items()}


def _cpu(outcomes: Mapping[str, list[Outcome]]) -> dict[str, dict[str, float]]:
    return {
        name: {part: statistics.median(outcome.cpu[part] for outcome in of) for part in of[0].cpu}
        for name, of in outcomes.items()
    }


@click.command()
@click.option("--runs", default=5, help="Of each candidate.")
@click.option("--orders", default=50_000, help="Placed while the engine works.")
@click.option("--batch", default=1_000, help="Orders placed, and taken by the engine, at a time.")
@click.option("--backlog", default=100_000, help="Orders that wait for the engine.")
@click.option("--backlog-batch", default=4_000, help="Orders that it then takes at a time.")
@click.option("--stock", default=1_000, help="Orders for the library as it comes.")
@click.option("--events", default=100_000, help="Stored by the recorder alone.")
@output
def main(results: Path, *, as_json: bool, **settings: int) -> None:
    """Orders a second, all the way from placing to the read models."""
    publish(measure(Settings(**settings)), results, as_json=as_json)
