"""Events a second when state is made anew: the books, and each view, idle and while serving."""

import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import psycopg

from application.views.rebuild import rebuild
from benchmarks.measuring import Figure, Report, conditions, output, publish, tell
from benchmarks.open_loop import Generator
from benchmarks.running import fresh_database, postgres
from benchmarks.seeding import seed
from benchmarks.service import Service
from benchmarks.workload import ASSETS, orders
from domain.values import book_id
from interface.database_url import database_env
from system import VIEWS, build, create_tables, leaders_of

_WINDOW_SECONDS = 2.0
_AGGREGATES = "book aggregates"  # the others are views


def books(env: dict[str, str], events: int) -> float:
    """Events a second of loading all books, one after the other, by the library's repository."""
    with closing(build(env)) as market:
        begun = time.monotonic()
        for number in range(ASSETS):
            market.matching.repository.get(book_id(f"ASSET-{number}"))
        return events / (time.monotonic() - begun)


def view(env: dict[str, str], name: str) -> float:
    """Events a second of rebuilding a view."""
    with closing(build(env)) as market:
        done = 0

        def count(number: int) -> None:
            nonlocal done
            done += number

        begun = time.monotonic()
        rebuild(VIEWS[name], leaders_of(market, VIEWS[name]), count)
        return done / (time.monotonic() - begun)


def view_while_serving(env: dict[str, str], name: str, load: Generator) -> tuple[float, Any, Any]:
    """The same, and what the service's clients noticed: before, and meanwhile."""
    for _ in range(3):
        load.run(_WINDOW_SECONDS)
    before = load.tell()
    rates: list[float] = []
    thread = threading.Thread(target=lambda: rates.append(view(env, name)))
    thread.start()
    while thread.is_alive():
        load.run(_WINDOW_SECONDS)
    return rates[0], before, load.tell()


def measure(runs: int, count: int, rate: int, makers: int) -> Report:
    idle: dict[str, list[float]] = {name: [] for name in (_AGGREGATES, *VIEWS)}
    serving: dict[str, list[float]] = {name: [] for name in VIEWS}
    noticed: dict[str, dict[str, list[float]]] = {}
    with postgres() as server, fresh_database(server.url) as url:
        env = database_env(url)
        create_tables(env)
        bar = click.progressbar(length=count, label="Seeding", file=sys.stderr)
        with bar as progress:
            seed(url, orders(count), progress.update)
        with psycopg.connect(url) as connection:
            logs = {
                leader: _count(connection, f"{leader}_events") for leader in ("orders", "matching")
            }
            found = conditions(connection)
        for number in range(1, runs + 1):
            tell(f"run {number} of {runs}, nobody else there")
            idle[_AGGREGATES].append(books(env, logs["matching"]))
            for name in VIEWS:
                idle[name].append(view(env, name))
        service = Service(url)
        with service.child:
            service.wait_until_ready()
            load = Generator.start(service.port, rate, makers)
            with load.child:
                service.wait_until_caught_up()
                load.run(_WINDOW_SECONDS)
                load.tell()  # warm now
                for name in VIEWS:
                    tell(f"{name}, while serving {rate} orders/s")
                    speed, before, meanwhile = view_while_serving(env, name, load)
                    serving[name].append(speed)
                    noticed[name] = {
                        "before": [before["posted"]["p99"]],
                        "meanwhile": [meanwhile["posted"]["p99"]],
                    }
        service.close()
    return Report(
        "replay",
        {"runs": runs, "orders": count, "rate": rate},
        [
            Figure("made anew, idle", "events/s", idle),
            Figure("made anew, serving", "events/s", serving),
            *(
                Figure(f"p99 of a POST, {rate}/s, {name}", "ms", samples, "before")
                for name, samples in noticed.items()
            ),
        ],
        found,
        {"events": logs},
    )


def _count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    number: int = row[0]
    return number


@click.command()
@click.option("--runs", default=3, help="Without load.")
@click.option("--orders", "count", default=350_000, help="About a million events of orders.")
@click.option("--rate", default=200, help="Orders a second that are served meanwhile.")
@click.option("--makers", default=50_000, help="For as many orders the load has somebody to trade.")
@output
def main(results: Path, *, as_json: bool, **settings: int) -> None:
    """Events a second of making books and views anew."""
    publish(measure(**settings), results, as_json=as_json)
