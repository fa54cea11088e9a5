"""The cost of a request about all assets, by the number of assets that have books.

A mass cancel of a user, the suspension of one, and delisting by default: seconds that Matching
needs for the one command, during which it decides nothing else. ``first`` is the first such
command of a process that has just started.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import click
import psycopg

from application.user_assets_backfill import UserAssetsBackfill
from benchmarks.measuring import Figure, Report, conditions, output, publish, tell
from benchmarks.running import fresh_database, postgres
from benchmarks.seeding import seed
from benchmarks.workload import LOT, MIDDLE, NewOrder
from domain.instrument import Instrument, TradingStatus
from domain.requests import InstrumentRequest, MassCancelRequest, UserRequest
from domain.values import ALL_ASSETS
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import build, create_tables

_FEW = 3  # orders of the user who has few


def market(assets: int, many: int) -> Iterator[NewOrder]:
    """A resting order in every asset; one user has orders in a few, one in many."""
    for number in range(assets):
        yield _bid(f"user-{number % 1_000:04d}", number)
    for number in range(_FEW):
        yield _bid("few", number)
    for number in range(min(many, assets)):
        yield _bid("many", number)


def _bid(user: str, number: int) -> NewOrder:
    return NewOrder(uuid4(), user, f"ASSET-{number}", "BUY", MIDDLE, LOT)


def requests() -> Iterator[tuple[str, object]]:
    """Yield the requests, one after the other, each with its name in the report."""
    yield "nobody, first", _mass_cancel("nobody")
    yield "nobody", _mass_cancel("nobody")
    yield "nobody suspended", _suspension("nobody")
    yield "few", _mass_cancel("few")
    yield "few again", _mass_cancel("few")
    yield "many", _mass_cancel("many")
    yield (
        "delisted by default",
        InstrumentRequest.make(
            uuid4(),
            user_id="operator",
            asset=ALL_ASSETS,
            instrument=Instrument(status=TradingStatus.DELISTED),
            time=datetime.now(UTC),
        ),
    )


def _mass_cancel(user: str) -> MassCancelRequest:
    return MassCancelRequest.make(uuid4(), user_id=user, asset=ALL_ASSETS, time=datetime.now(UTC))


def _suspension(user: str) -> UserRequest:
    return UserRequest.make(
        uuid4(), user_id=user, asset=ALL_ASSETS, is_suspended=True, time=datetime.now(UTC)
    )


def seconds(server: EmbeddedPostgres, assets: int, many: int) -> Mapping[str, float]:
    """Of each request, in a process's first minute."""
    with fresh_database(server.url) as url:
        env = database_env(url)
        create_tables(env)
        length = assets + _FEW + min(many, assets)
        with click.progressbar(length=length, label="Seeding", file=sys.stderr) as progress:
            seed(url, market(assets, many), progress.update)
        found: dict[str, float] = {}
        with closing(build(env)) as running:
            found["table filled, once"] = _seconds(UserAssetsBackfill(running.matching).fill)
            for name, asked in requests():
                running.orders.ask(asked)  # type: ignore[arg-type]
                found[name] = _seconds(lambda: running.matching.process_batch("Orders"))
        return found


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(sizes: Sequence[int], many: int) -> Report:
    samples: dict[str, dict[str, list[float]]] = {}
    with postgres() as server:
        for assets in sizes:
            tell(f"{assets} assets")
            for name, took in seconds(server, assets, many).items():
                samples.setdefault(name, {})[str(assets)] = [took]
        with psycopg.connect(server.url) as connection:
            where = conditions(connection)
    figures = [Figure(name, "s", of) for name, of in samples.items()]
    return Report("assets", {"sizes": list(sizes), "many": many}, figures, where)


@click.command()
@click.option("--assets", "sizes", multiple=True, default=(15_000, 100_000))
@click.option("--many", default=10_000, help="Assets in which one user has an order.")
@output
def main(sizes: tuple[int, ...], many: int, results: Path, *, as_json: bool) -> None:
    """Measure the cost of requests about all assets."""
    publish(measure(sizes, many), results, as_json=as_json)


if __name__ == "__main__":
    main()
