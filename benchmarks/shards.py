"""The cost of an order in Matching, by the number of workers that share the work.

A backlog of commands for many assets waits, on the topic as in the store; the workers are up,
and begin together. On a machine with fewer cores than processes, orders a second say little;
the time of the processor that an order takes in each part says what more machines would
bring. ``alone`` is one process that follows the store, without Kafka; ``Orders`` is the one
that then records the outcomes.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import click
import psycopg

from application.matching import Matching
from benchmarks.kafka_running import (
    Kafka,
    Topics,
    kafka,
    publish_all,
    role,
    standing_by,
    topics,
    until,
)
from benchmarks.measuring import Figure, Report, conditions, in_turns, output, publish, tell
from benchmarks.raw_events import Placed
from benchmarks.raw_pipeline import placed_row
from benchmarks.raw_store import append
from benchmarks.running import Child, ProcessorTime, fresh_database, postgres
from benchmarks.workload import NewOrder, orders
from interface.database_url import database_env
from interface.postgres import EmbeddedPostgres
from system import create_tables

_WORKERS: Final = (1, 2, 4)
_PLACED_AT_ONCE: Final = 1_000

_ALL_DECIDED: Final = """SELECT min(reached) >= (
        SELECT max(notification_id) FROM orders_events WHERE topic = 'order.placed')
    FROM matching_tracking_positions() WHERE split_part(name, '#', 1) = 'Orders'"""
_ALL_RECORDED: Final = """SELECT max(notification_id) >= (
        SELECT max(notification_id) FROM matching_events)
    FROM orders_tracking WHERE application_name = 'Matching'"""

_WRITTEN: Final = """SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
    FROM pg_stat_database WHERE datname = current_database()"""


class Outcome(NamedTuple):
    """Of an order: microseconds of the processor in each part, commits, and bytes of WAL."""

    rate: float
    cpu: Mapping[str, float]
    commits: float
    wal: float


class Places(NamedTuple):
    """The server, the broker, and a database with the commands."""

    server: EmbeddedPostgres
    kafka: Kafka
    placed: str
    orders: int


def place(url: str, wanted: Sequence[NewOrder]) -> None:
    """Fill the log of Orders with the commands, and nothing else."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        for start in range(0, len(wanted), _PLACED_AT_ONCE):
            now = datetime.now(UTC)
            rows = [
                placed_row(order.order_id, Placed(now, *order[1:]))
                for order in wanted[start : start + _PLACED_AT_ONCE]
            ]
            append(cursor, "orders_events", rows)
        connection.execute("VACUUM ANALYZE")


def decided(places: Places, made: Topics | None, workers: int) -> Outcome:
    """All commands, by new workers; without topics by one that follows the store."""
    if made is not None:
        made.forget_groups()
    # Each role has a core of its own; workers of one role would all be on the same.
    env = {**(made.env if made is not None else {}), "KEEP_TO_ONE_CPU": "false"}
    with fresh_database(places.server.url, places.placed) as url:
        return _measured(
            places,
            url,
            Matching.name,
            lambda: [role("matching", url, env) for _ in range(workers)],
            _ALL_DECIDED,
        )


def recorded(places: Places) -> Outcome:
    """Measure the recording of Matching's decisions by Orders' follower, of which there is one."""
    with fresh_database(places.server.url, places.placed) as url:
        for name, question in (("matching", _ALL_DECIDED), ("orders", _ALL_RECORDED)):
            outcome = _measured(
                places,
                url,
                name.capitalize(),
                partial(lambda name: [role(name, url, {})], name),
                question,
            )
    return outcome


def _measured(
    places: Places,
    url: str,
    follower: str,
    start: Callable[[], Sequence[Child]],
    question: str,
) -> Outcome:
    """From the moment at which the processes may begin until the answer is yes."""
    with (
        psycopg.connect(url, autocommit=True) as connection,
        standing_by(url, [follower], start) as (children, begin),
    ):
        pids = {f"worker {number}": child.pid for number, child in enumerate(children, start=1)}
        used = ProcessorTime({**pids, "PostgreSQL": places.server.pid, **places.kafka.pids})
        commits, wal = _written(connection)
        begun = time.monotonic()
        begin()
        ended = until(connection, question, children)
        took = {part: seconds / places.orders * 1e6 for part, seconds in used.seconds().items()}
        time.sleep(1)  # sessions tell their commits now and then
        commits_after, wal_after = _written(connection)
    return Outcome(
        places.orders / (ended - begun),
        {"workers": sum(took.pop(name) for name in pids), **took},
        (commits_after - commits) / places.orders,
        (wal_after - wal) / places.orders,
    )


def _written(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(_WRITTEN).fetchone()
    assert row is not None
    return row[0], row[1]


def measure(runs: int, count: int, assets: int, partitions: int) -> Report:
    with postgres() as server, kafka() as broker, fresh_database(server.url) as url:
        create_tables(database_env(url))
        tell(f"placing {count} orders")
        place(url, orders(count, assets=assets))
        places = Places(server, broker, url, count)
        with topics(broker.servers, partitions) as made:
            publish_all(url, made.env)
            found = in_turns(
                runs,
                {
                    "alone": partial(decided, places, None, 1),
                    **{f"{n} of Kafka": partial(decided, places, made, n) for n in _WORKERS},
                    "Orders": partial(recorded, places),
                },
            )
        with psycopg.connect(server.url) as connection:
            where = conditions(connection)
    return Report(
        "shards",
        {"runs": runs, "orders": count, "assets": assets, "partitions": partitions},
        [
            Figure(
                "decided", "orders/s", {name: [o.rate for o in of] for name, of in found.items()}
            ),
            *(
                Figure(
                    f"CPU of an order, {part}",
                    "us",
                    {name: [o.cpu[part] for o in of] for name, of in found.items()},
                    "alone",
                )
                for part in found["alone"][0].cpu
            ),
        ],
        where,
        {
            "commits an order": _medians({n: [o.commits for o in of] for n, of in found.items()}),
            "bytes of WAL an order": _medians({n: [o.wal for o in of] for n, of in found.items()}),
        },
    )


def _medians(samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in samples.items()}


@click.command()
@click.option("--runs", default=3, help="Of each number of workers.")
@click.option("--orders", "count", default=50_000, help="Commands that wait.")
@click.option("--assets", default=64)
@click.option("--partitions", default=8)
@output
def main(results: Path, *, as_json: bool, **settings: int) -> None:
    """Measure the cost of matching in shards, with 1, 2 and 4 workers."""
    publish(measure(**settings), results, as_json=as_json)
