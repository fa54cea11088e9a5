"""A long load on a long history, whose seconds without a decision and latencies are counted.

A database is filled with so many events by real orders. Then the service takes orders of every
type, cancels, amends, reads and mass cancels at a fixed rate, on PostgreSQL with autovacuum as it
comes. Beside it a control commits one row every 100 ms into a table of its own: a second in which
that stalls too is the machine's or the disk's, not ours.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

import click
import psycopg
from psycopg.rows import dict_row

from benchmarks.measuring import Figure, Report, conditions, output, percentile, publish, tell
from benchmarks.running import Child, directory
from benchmarks.service import Service
from interface.postgres import EmbeddedPostgres

_CONTROL_SECONDS = 0.1
_WATCH_SECONDS = 1.0
_WARM_UP_SECONDS = 10
_WINDOW_SECONDS = 300  # at the beginning and at the end, or a third of a shorter run
_FILLING = {"BATCH_SIZE": "2000"}

_STORED = """SELECT (SELECT coalesce(max(notification_id), 0) FROM orders_events)
    + (SELECT coalesce(max(notification_id), 0) FROM matching_events)"""
_TABLES = """SELECT schemaname || '.' || relname AS name, n_live_tup AS live, n_dead_tup AS dead,
    autovacuum_count AS vacuums, autoanalyze_count AS analyzes,
    pg_total_relation_size(relid) / 1048576.0 AS mb
    FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC"""
_VACUUMS = """SELECT relid::regclass::text AS name FROM pg_stat_progress_vacuum
    WHERE datname = current_database()"""
_SETTINGS = ("autovacuum", "autovacuum_naptime", "autovacuum_vacuum_scale_factor")


class _OnTheSide(threading.Thread):
    """A thread with a connection of its own, for as long as it is entered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._connection = psycopg.connect(url, autocommit=True)
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()
        self._connection.close()


class Control(_OnTheSide):
    """A thread that commits a row every 100 ms, in a schema of its own."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._connection.execute("CREATE SCHEMA IF NOT EXISTS soak")
        self._connection.execute("CREATE TABLE IF NOT EXISTS soak.control (number bigint)")
        self.commits: list[tuple[float, float]] = []  # when it was done, and how long it took

    def run(self) -> None:
        while not self._stopping.wait(_CONTROL_SECONDS):
            begun = time.monotonic()
            self._connection.execute("INSERT INTO soak.control VALUES (%s)", [len(self.commits)])
            done = time.monotonic()
            self.commits.append((done, (done - begun) * 1000))


class Watch(_OnTheSide):
    """A thread that notes every second which tables are being vacuumed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.vacuumed: Counter[str] = Counter()  # seconds, by table

    def run(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            self.vacuumed.update(name for (name,) in self._connection.execute(_VACUUMS).fetchall())


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


def load(url: str, rate: int, seconds: int, assets: int, seed: int) -> dict[str, Any]:
    """Run the service under load; return the figures of the load, the control and PostgreSQL."""
    service = Service(url)
    with service.child:
        service.wait_until_ready()
        _users(service.port, rate, _WARM_UP_SECONDS, assets, seed)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            before = _tables(connection)
            with Control(url) as control, Watch(url) as watch:
                found = _users(service.port, rate, seconds, assets, seed + 1)
            found["tables"] = _changes(before, _tables(connection))
        service.wait_until_caught_up()
        found["commits"] = [(at - found["begun"], took) for at, took in control.commits]
        found["vacuumed"] = watch.vacuumed
        found["verify"] = verify(service)
    service.close()
    return found


def _users(port: int, rate: int, seconds: int, assets: int, seed: int) -> dict[str, Any]:
    arguments = map(str, (port, rate, seconds, assets, seed))
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


def measure(  # noqa: PLR0913, PLR0917 - the settings of the benchmark
    events: int, minutes: float, rate: int, assets: int, seed: int, data: Path | None
) -> Report:
    seconds = int(minutes * 60)
    with cluster(data) as server:
        filling = fill(server.url, events, assets)
        with psycopg.connect(server.url, autocommit=True) as connection:
            stored = _value(connection, _STORED)
            connection.execute("CHECKPOINT")
        tell(f"{stored} events; {minutes:g} minutes of load")
        found = load(server.url, rate, seconds, assets, seed)
        with psycopg.connect(server.url) as connection:
            where = conditions(connection)
            shown = {name: connection.execute(f"SHOW {name}").fetchone() for name in _SETTINGS}
            where["postgresql"] |= {name: row[0] for name, row in shown.items() if row}
    silent = silent_seconds(found["decided"], seconds)
    stalled = stalled_seconds(found["commits"], seconds)
    return Report(
        "soak",
        {"events": events, "minutes": minutes, "rate": rate, "assets": assets, "seed": seed},
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
    window = min(_WINDOW_SECONDS, seconds // 3)
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


def _value(connection: psycopg.Connection[Any], statement: Any) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    value: int = row[0]
    return value


@click.command()
@click.option("--events", default=10_000_000, help="Stored in both logs before the load.")
@click.option("--minutes", default=20.0, help="Of load.")
@click.option("--rate", default=80, help="Requests a second.")
@click.option("--assets", default=100)
@click.option("--seed", default=1)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory for the database that is kept: it is filled once and used again.",
)
@output
def main(results: Path, *, as_json: bool, **settings: Any) -> None:
    """A long load on a long history, beside autovacuum."""
    publish(measure(**settings), results, as_json=as_json)
