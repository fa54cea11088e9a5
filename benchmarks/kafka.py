"""Publishing, and read models that are fed from Kafka against such that follow the store.

``published``: a stored log, from the moment at which the publisher, which is up, may begin
until the broker has confirmed everything. ``views``: events of a stored log, until all views
show all of it; for the ones that are fed from Kafka the messages are on the topics already.
``visible``: POST -> fill visible by GET, with the whole service on one machine, open loop.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import psycopg

from benchmarks.kafka_running import (
    Kafka,
    Topics,
    kafka,
    publish_all,
    publishing,
    role,
    standing_by,
    topics,
    until_published,
)
from benchmarks.measuring import Figure, Report, conditions, in_turns, output, publish, tell
from benchmarks.open_loop import Generator
from benchmarks.running import ProcessorTime, fresh_database, postgres
from benchmarks.seeding import seed
from benchmarks.service import Service
from benchmarks.visible import last_command, until_visible
from benchmarks.workload import orders
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import VIEWS, create_tables

_VIEWS: Final = tuple(view.name for view in VIEWS.values())
_PUBLISHERS: Final = {
    "in one process": ("publisher",),
    "in a process for each log": ("orders-publisher", "matching-publisher"),
}
_VIEW_POSITIONS: Final = (
    "order_view.orderview_tracking",
    "book_view.bookview_tracking",
    "trade_view.tradeview_tracking",
)


class Outcome(NamedTuple):
    """Events a second, and microseconds of the processor that an event took in each part."""

    rate: float
    cpu: Mapping[str, float]


class Places(NamedTuple):
    """The server, the broker, and a database whose log is to be copied."""

    server: EmbeddedPostgres
    kafka: Kafka
    seeded: str
    events: int


@contextmanager
def _places(count: int) -> Iterator[Places]:
    with postgres() as server, kafka() as broker, fresh_database(server.url) as url:
        create_tables(database_env(url))
        tell(f"seeding {count} orders")
        seed(url, orders(count), lambda _: None)
        with psycopg.connect(url, autocommit=True) as connection:
            for table in _VIEW_POSITIONS:
                connection.execute(f"DELETE FROM {table}")
            row = connection.execute(
                "SELECT (SELECT count(*) FROM orders_events),"
                " (SELECT count(*) FROM matching_events)"
            ).fetchone()
            assert row is not None
        yield Places(server, broker, url, sum(row))


def published(places: Places, partitions: int, roles: Sequence[str]) -> Outcome:
    """The whole log, to new topics."""
    with (
        fresh_database(places.server.url, places.seeded) as url,
        topics(places.kafka.servers, partitions) as made,
        psycopg.connect(url, autocommit=True) as connection,
        publishing(url, made.env, roles) as (children, begin),
    ):
        return _outcome(
            places,
            {name: child.pid for name, child in zip(roles, children, strict=True)},
            begin,
            lambda: until_published(connection, children),
        )


def views(places: Places, made: Topics | None, processes: int = 1) -> Outcome:
    """All views, from nothing; without topics they follow the store.

    Of processes that are fed from Kafka, each has its share of the partitions.
    """
    if made is not None:
        made.forget_groups()
    env = made.env if made is not None else {}
    with (
        fresh_database(places.server.url, places.seeded) as url,
        psycopg.connect(url, autocommit=True) as connection,
        standing_by(url, _VIEWS, lambda: [role("views", url, env) for _ in range(processes)]) as (
            children,
            begin,
        ),
    ):
        position = last_command(connection)
        return _outcome(
            places,
            {f"views {number}": child.pid for number, child in enumerate(children, start=1)},
            begin,
            lambda: until_visible(connection, position, children[0].check),
        )


def _outcome(
    places: Places, pids: Mapping[str, int], begin: Callable[[], None], end: Callable[[], float]
) -> Outcome:
    used = ProcessorTime({**pids, "PostgreSQL": places.server.pid, **places.kafka.pids})
    begun = time.monotonic()
    begin()
    seconds = end() - begun
    cpu = {part: took / places.events * 1e6 for part, took in used.seconds().items()}
    return Outcome(places.events / seconds, cpu)


def visible(places: Places, rate: int, seconds: int, partitions: int | None) -> dict[str, Any]:
    """Measure the whole service from its clients; without partitions there is no Kafka."""
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(places.server.url))
        env: Mapping[str, str] = {}
        if partitions is not None:
            env = stack.enter_context(topics(places.kafka.servers, partitions)).env
        service = Service(url, env)
        stack.callback(service.close)
        stack.enter_context(service.child)
        service.wait_until_ready()
        load = Generator.start(service.port, rate, _makers(rate * (seconds + 2)))
        stack.enter_context(load.child)
        service.wait_until_caught_up()
        load.run(2)
        load.tell()  # warm now, it counts from here
        load.run(seconds)
        return load.tell()


def _makers(orders: int) -> int:
    """As many as are placed together."""
    return -(-orders // 1_000) * 1_000


def measure(runs: int, count: int, partitions: int, rate: int, seconds: int) -> Report:
    with ExitStack() as stack:
        places = stack.enter_context(_places(count))
        sent = in_turns(
            runs,
            {
                name: partial(published, places, partitions, roles)
                for name, roles in _PUBLISHERS.items()
            },
        )
        with topics(places.kafka.servers, partitions) as made:
            publish_all(places.seeded, made.env)
            feeding = in_turns(
                runs,
                {
                    "from the store": partial(views, places, None),
                    "from Kafka": partial(views, places, made),
                    "from Kafka, two processes": partial(views, places, made, 2),
                },
            )
        seen = in_turns(
            runs,
            {
                "from the store": partial(visible, places, rate, seconds, None),
                "from Kafka": partial(visible, places, rate, seconds, partitions),
            },
        )
        with psycopg.connect(places.server.url) as connection:
            found = conditions(connection)
    return Report(
        "kafka",
        {
            "runs": runs,
            "orders": count,
            "events": places.events,
            "partitions": partitions,
            "rate": rate,
            "seconds": seconds,
        },
        [
            Figure("published", "events/s", _rates(sent)),
            Figure("views from a stored log", "events/s", _rates(feeding), "from the store"),
            *(
                Figure(
                    f"POST -> fill visible, {rate}/s, {percent}",
                    "ms",
                    {name: [one["filled"][percent] for one in of] for name, of in seen.items()},
                    "from the store",
                )
                for percent in ("p50", "p99")
            ),
        ],
        found,
        {
            "CPU of an event, us": _cpu({**sent, **feeding}),
            "open loop": {name: _load(of) for name, of in seen.items()},
        },
    )


def _load(found: list[dict[str, Any]]) -> dict[str, float]:
    """What the load itself was."""
    return {
        "orders/s": statistics.median(one["rate"] for one in found),
        "refused": sum(one["refused"] for one in found),
        "looked too early": sum(one["early"] for one in found),
        "cores of the generator": statistics.median(one["cpu"] for one in found),
        "POST p50, ms": statistics.median(one["posted"]["p50"] for one in found),
    }


def _rates(outcomes: Mapping[str, list[Outcome]]) -> dict[str, list[float]]:
    return {name: [outcome.rate for outcome in of] for name, of in outcomes.items()}


def _cpu(outcomes: Mapping[str, list[Outcome]]) -> dict[str, dict[str, float]]:
    return {
        name: {part: statistics.median(outcome.cpu[part] for outcome in of) for part in of[0].cpu}
        for name, of in outcomes.items()
    }


@click.command()
@click.option("--runs", default=3, help="Of each candidate.")
@click.option("--orders", "count", default=52_000, help="Stored: about 200 000 events.")
@click.option("--partitions", default=8)
@click.option("--rate", default=500, help="Orders a second, in the open loop.")
@click.option("--seconds", default=15, help="Of the open loop.")
@output
def main(results: Path, *, as_json: bool, **settings: int) -> None:
    """Events a second to Kafka and from it, and how soon they are seen."""
    publish(measure(**settings), results, as_json=as_json)
