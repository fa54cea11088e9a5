"""A long load on a long history, whose seconds without a decision and latencies are counted.

A database is filled with so many events by real orders. Then the service takes orders of every
type, cancels, amends, reads and mass cancels at a fixed rate, on PostgreSQL with autovacuum as it
comes. Beside it a control commits one row every 100 ms into a table of its own: a second in which
that stalls too is the machine's or the disk's, not ours.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import click
import psycopg
from psycopg.rows import dict_row

from benchmarks.measuring import Figure, Report, conditions, output, percentile, publish, tell
from benchmarks.running import Child, directory
from benchmarks.service import Service
from benchmarks.soak_database import Control, Watch
from benchmarks.soak_memory import Memory, by_window
from interface.postgres import EmbeddedPostgres

_WARM_UP_SECONDS = 10
_FASTEST_SECONDS = 30  # in which the highest rate is measured
_WINDOW_SECONDS = 300  # or a third of a shorter run
_FILLING = {"BATCH_SIZE": "2000"}

_STORED = """SELECT (SELECT coalesce(max(notification_id), 0) FROM orders_events)
    + (SELECT coalesce(max(notification_id), 0) FROM matching_events)"""
_TABLES = """SELECT schemaname || '.' || relname AS name, n_live_tup AS live, n_dead_tup AS dead,
    autovacuum_count AS vacuums, autoanalyze_count AS analyzes,
    pg_total_relation_size(relid) / 1048576.0 AS mb
    FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC"""
_SETTINGS = ("autovacuum", "autovacuum_naptime", "autovacuum_vacuum_scale_factor")


class Traffic(NamedTuple):
    """The requests of the users, as the options say it."""

    minutes: float
    rate: int  # a second
    percent: int | None  # of the highest rate, instead of that one
    assets: int
    seed: int

    @property
    def seconds(self) -> int:
        return int(self.minutes * 60)


@contextmanager
def cluster(data: Path | None) -> Iterator[EmbeddedPostgres]:
    """PostgreSQL in a temporary directory, or in one that is kept and used again."""
    with nullcontext(data) if data else directory() as path:
        path.mkdir(parents=True, exist_ok=True)
        with EmbeddedPostgres(path, durable=True) as server:
            yield server


def fill(url: str, events: int, assets: int) -> float:
    """Let a service decide orders until so many events are stored; return the seconds it took."""
    begun = time.monotonic()
    service = Service(url, _FILLING)
    with service.child:
        service.wait_until_ready()
        with psycopg.connect(url, autocommit=True) as connection:
            stored = _value(connection, _STORED)
            if stored < events:
                with click.progressbar(
                    length=events - stored, label="Filling", file=sys.stderr
                ) as progress:
                    _place(url, events, assets, stored, progress.update)
        service.wait_until_caught_up()
    service.close()
    return time.monotonic() - begun


def _place(url: str, events: int, assets: int, stored: int, progress: Any) -> None:
    arguments = [url, str(events), str(assets), str(stored + 1)]
    with Child(["benchmarks.soak_history", *arguments]) as placer:
        while stored < events:
            done = json.loads(placer.hear())
            progress(done - stored)
            stored = done


def load(server: EmbeddedPostgres, traffic: Traffic) -> dict[str, Any]:
    """Run the service under load; return the figures of the load, the control and PostgreSQL."""
    url = server.url
    service = Service(url)
    with service.child:
        service.wait_until_ready()
        rate, highest = _rate(service, traffic)
        _users(service.port, rate, _WARM_UP_SECONDS, traffic, traffic.seed)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            before = _tables(connection)
            with (
                Control(url) as control,
                Watch(url) as watch,
                Memory(service, server.pid) as memory,
            ):
                found = _users(service.port, rate, traffic.seconds, traffic, traffic.seed + 1)
            found["rate"], found["highest rate"] = rate, highest
            found["memory"] = [(at - found["begun"], of) for at, of in memory.samples]
            found["tables"] = _changes(before, _tables(connection))
        service.wait_until_caught_up()
        found["commits"] = [(at - found["begun"], took) for at, took in control.commits]
        found["vacuumed"] = watch.vacuumed
        found["verify"] = verify(service)
    service.close()
    return found


def _rate(service: Service, traffic: Traffic) -> tuple[int, float | None]:
    """Return the rate, and the highest one if that had to be measured.

    The highest counts until everything is decided and visible: an order that finds too many others
    waiting is answered before it is decided.
    """
    if traffic.percent is None:
        return traffic.rate, None
    found = _users(service.port, 0, _FASTEST_SECONDS, traffic, traffic.seed - 1)
    service.wait_until_caught_up()
    answers = sum(sum(of.values()) for of in found["statuses"].values())
    highest = answers / (time.monotonic() - found["begun"])
    rate = max(int(highest * traffic.percent / 100), 1)
    tell(f"{rate} requests/s, {traffic.percent} % of the highest rate")
    return rate, highest


def _users(port: int, rate: int, seconds: int, traffic: Traffic, seed: int) -> dict[str, Any]:
    arguments = map(str, (port, rate, seconds, traffic.assets, seed))
    with Child(["benchmarks.soak_load", *arguments]) as users:
        found: dict[str, Any] = json.loads(users.hear())
        return found


def verify(service: Service) -> Any:
    with Child(["interface.cli", "verify", "--recent", "--json"], service.env) as child:
        return json.loads(child.hear())


def _tables(connection: psycopg.Connection[Any]) -> dict[str, dict[str, Any]]:
    return {row.pop("name"): row for row in connection.execute(_TABLES).fetchall()}


def _changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Of each table: rows and size at the end, and how often it was vacuumed meanwhile."""
    return {
        name: {
            "live": row["live"],
            "dead": row["dead"],
            "MB": round(float(row["mb"]), 1),
            **{
                what: row[what] - before.get(name, {}).get(what, 0)
                for what in ("vacuums", "analyzes")
            },
        }
        for name, row in after.items()
        if row["mb"] >= 1 or row["vacuums"]
    }


def silent_seconds(decided: Mapping[str, int], seconds: int) -> list[int]:
    """Whole seconds of the run in which no order was decided."""
    return [second for second in range(seconds) if not decided.get(str(second))]


def stalled_seconds(commits: Sequence[tuple[float, float]], seconds: int) -> list[int]:
    """Whole seconds in which the control did not commit."""
    done = {int(at) for at, _ in commits}
    return [second for second in range(seconds) if second not in done]


def measure(events: int, data: Path | None, traffic: Traffic) -> Report:
    seconds = traffic.seconds
    with cluster(data) as server:
        filling = fill(server.url, events, traffic.assets)
        with psycopg.connect(server.url, autocommit=True) as connection:
            stored = _value(connection, _STORED)
            connection.execute("CHECKPOINT")
        tell(f"{stored} events; {traffic.minutes:g} minutes of load")
        found = load(server, traffic)
        with psycopg.connect(server.url) as connection:
            where = conditions(connection)
            shown = {name: connection.execute(f"SHOW {name}").fetchone() for name in _SETTINGS}
            where["postgresql"] |= {name: row[0] for name, row in shown.items() if row}
    window = _window(seconds)
    silent = silent_seconds(found["decided"], seconds)
    stalled = stalled_seconds(found["commits"], seconds)
    return Report(
        "soak",
        {"events": events} | traffic._asdict() | {"rate": found["rate"]},
        [
            *latencies(found, seconds),
            Figure(
                "seconds without a decided order",
                "s",
                {
                    "all": [len(silent)],
                    "ours": [len(set(silent) - set(stalled))],
                    "of the control": [len(stalled)],
                },
            ),
        ],
        where,
        {
            "highest rate": found["highest rate"],
            "place -> decided": decided_by_window(found["placed"], window),
            "memory in MiB, all of its processes": by_window(found["memory"], window),
            "history": {"events": stored, "filled in s": round(filling)},
            "silent seconds": {"all": silent, "ours": sorted(set(silent) - set(stalled))},
            "answers": found["statuses"],
            "autovacuum, s by table": found["vacuumed"],
            "tables": found["tables"],
            "ome verify --recent": found["verify"],
        },
    )


def latencies(found: Mapping[str, Any], seconds: int) -> list[Figure]:
    """The latencies at the beginning and at the end; of a part without a sample there is none."""
    window = _window(seconds)
    first, last = f"first {window} s", f"last {window} s"
    figures = []
    for name, samples in (
        ("place -> decided", found["placed"]),
        ("control's commit", found["commits"]),
    ):
        parts = {
            first: [took for at, took in samples if at < window],
            last: [took for at, took in samples if seconds - window <= at < seconds],
        }
        values = {part: each for part, each in parts.items() if each}
        figures += [
            Figure(
                f"{name}, p{percent}" if percent < 100 else f"{name}, longest",
                "ms",
                {part: [percentile(each, percent)] for part, each in values.items()},
                first if first in values else None,
            )
            for percent in (50, 99, 100)
        ]
    return figures


def decided_by_window(
    samples: Sequence[tuple[float, float]], window: int
) -> dict[str, dict[str, float]]:
    """Return p50 and p99, in milliseconds, of each window, by the second it begins at."""
    windows: dict[int, list[float]] = defaultdict(list)
    for at, took in samples:
        windows[int(at // window)].append(took)
    return {
        f"from {number * window} s": {
            f"p{percent}": percentile(windows[number], percent) for percent in (50, 99)
        }
        for number in sorted(windows)
    }


def _window(seconds: int) -> int:
    return min(_WINDOW_SECONDS, seconds // 3)


def _value(connection: psycopg.Connection[Any], statement: Any) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    value: int = row[0]
    return value


@click.command()
@click.option("--events", default=10_000_000, help="Stored in both logs before the load.")
@click.option("--minutes", default=20.0, help="Of load.")
@click.option("--rate", default=80, help="Requests a second.")
@click.option("--percent", type=int, help="Of the highest rate, instead of --rate.")
@click.option("--assets", default=100)
@click.option("--seed", default=1)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory for the database that is kept: it is filled once and used again.",
)
@output
def main(events: int, data: Path | None, results: Path, *, as_json: bool, **settings: Any) -> None:
    """A long load on a long history, beside autovacuum."""
    publish(measure(events, data, Traffic(**settings)), results, as_json=as_json)
