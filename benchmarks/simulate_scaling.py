"""The scaling of the market, calculated from the measured costs of its parts.

`python -m benchmarks.simulate_scaling`: a thousand instruments on fifty machines, their load
skewed as Zipf's law says, their partitions given to workers as Kafka does: as many to each,
whatever goes on in them. For each part, the orders a second at which its busiest process or
store has no time left to spare. Nothing is random. Costs are those of `ome bench kafka` and
`ome bench shards` as last kept; what is not measured there is a constant below, with its origin.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from application.persistence.partitions import partition_of
from benchmarks.measuring import RESULTS, number

BUSY: Final = 0.7  # of the time; more, and queues grow
# Of a log's lock, held for a commit and for each event: 1 100 single commits a second, and
# 110 000 events a second by COPY (docs/performance.md).
COMMIT_US: Final = 900.0
COPY_US: Final = 9.0
# Of an order in the process that takes it over HTTP: a guess from 2 000 POST a second on two
# cores which did all the rest as well.
API_US: Final = 400.0


class Costs(NamedTuple):
    """Microseconds of one core that an order takes in each part."""

    matching: float
    orders: float  # the follower that records outcomes
    publisher: float
    views: float
    postgres: float  # all that is done there for all of them
    broker: float
    orders_events: float  # of an order, in the log of Orders

    @classmethod
    def of(cls, results: Path) -> "Costs":
        shards, kafka = (
            json.loads((results / f"{name}.json").read_text()) for name in ("shards", "kafka")
        )
        order, store, broker = (
            _median(shards, f"CPU of an order, {part}")
            for part in ("workers", "PostgreSQL", "Kafka")
        )
        event: Mapping[str, Mapping[str, float]] = kafka["details"]["CPU of an event, us"]
        events = kafka["settings"]["events"] / kafka["settings"]["orders"]
        publisher, views = event["in one process"], event["from Kafka"]
        return cls(
            matching=order["4 of Kafka"],
            orders=order["Orders"],
            publisher=publisher["publisher"] * events,
            views=views["views 1"] * events,
            postgres=store["4 of Kafka"]
            + store["Orders"]
            + (publisher["PostgreSQL"] + views["PostgreSQL"]) * events,
            broker=broker["4 of Kafka"] + (publisher["Kafka"] + views["Kafka"]) * events,
            orders_events=events - 1,  # of Matching there is one
        )


class Layout(NamedTuple):
    """The division of the work. ``stores``: each has its partitions, workers and followers."""

    stores: int
    workers: int
    partitions: int
    postgres_cores: int


class Load(NamedTuple):
    """The parts of all orders that are for the busiest of each."""

    instrument: float
    partition: float
    worker: float
    store: float


def zipf(instruments: int, exponent: float) -> list[float]:
    """The parts of the load, the largest first; exponent 0: all alike."""
    weights = [rank**-exponent for rank in range(1, instruments + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


def busiest(shares: Sequence[float], layout: Layout) -> Load:
    partitions = [0.0] * layout.partitions
    for rank, share in enumerate(shares, start=1):
        partitions[partition_of(f"ASSET-{rank}", layout.partitions)] += share
    workers = [sum(partitions[first :: layout.workers]) for first in range(layout.workers)]
    stores = [sum(partitions[first :: layout.stores]) for first in range(layout.stores)]
    return Load(shares[0], max(partitions), max(workers), max(stores))


def limits(costs: Costs, layout: Layout, load: Load) -> dict[str, float]:
    """Orders a second of the whole market at which each part is as busy as it may be."""

    def limit(share: float, microseconds: float, cores: int = 1) -> float:
        return BUSY * cores * 1e6 / (microseconds * share)

    return {
        "Matching": limit(load.worker, costs.matching),
        "Orders": limit(load.store, costs.orders),
        "publisher": limit(load.store, costs.publisher),
        "PostgreSQL": limit(load.store, costs.postgres, layout.postgres_cores),
        "lock of the log": limit(load.store, costs.orders_events * COPY_US),
    }


def round_of_commits(rate: float, layout: Layout, load: Load) -> float:
    """Milliseconds until each worker of the busiest store has had its turn to commit."""
    free = 1 - rate * load.store * COPY_US / 1e6
    return layout.workers / layout.stores * COMMIT_US / 1000 / free


def cores(costs: Costs, rate: float) -> dict[str, float]:
    """Return the number of cores that each part keeps busy, skew apart."""
    parts = {"API": API_US, **costs._asdict()}
    del parts["orders_events"]
    return {part: rate * cost / 1e6 for part, cost in parts.items()}


def simulate(costs: Costs, instruments: int, exponents: Sequence[float]) -> list[dict[str, Any]]:
    """A row for each skew and layout: the limits, and which is the first."""
    rows = []
    for exponent in exponents:
        shares = zipf(instruments, exponent)
        for layout in LAYOUTS:
            load = busiest(shares, layout)
            found = limits(costs, layout, load)
            first = min(found, key=lambda part: found[part])
            rows.append(
                {
                    "zipf": exponent,
                    **layout._asdict(),
                    "busiest": load._asdict(),
                    "limits": found,
                    "first": first,
                    "orders/s": found[first],
                    "round of commits, ms": round_of_commits(found[first], layout, load),
                    "cores": cores(costs, found[first]),
                }
            )
    return rows


# Fifty machines of 16 cores: stores, and as many machines for their workers.
LAYOUTS: Final = (
    Layout(stores=1, workers=4, partitions=8, postgres_cores=16),
    Layout(stores=1, workers=48, partitions=48, postgres_cores=16),
    Layout(stores=1, workers=48, partitions=960, postgres_cores=16),
    Layout(stores=8, workers=48, partitions=960, postgres_cores=16),
    Layout(stores=24, workers=48, partitions=960, postgres_cores=16),
    Layout(stores=48, workers=960, partitions=960, postgres_cores=16),
)


@click.command()
@click.option("--instruments", default=1_000)
@click.option("--zipf", "exponents", multiple=True, default=(0.0, 0.8, 1.0, 1.2))
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def main(instruments: int, exponents: tuple[float, ...], results: Path, *, as_json: bool) -> None:
    """The needs of a market of many instruments, and its first bottleneck."""
    costs = Costs.of(results)
    rows = simulate(costs, instruments, exponents)
    if as_json:
        print(json.dumps({"costs": costs._asdict(), "rows": rows}, indent=2))
        return
    print("an order, us:", ", ".join(f"{part} {us:.3g}" for part, us in costs._asdict().items()))
    for row in rows:
        print(
            f"zipf {row['zipf']}: {row['stores']:2} stores, {row['workers']:3} workers,"
            f" {row['partitions']:3} partitions:"
            f" {number(row['orders/s']):>8} orders/s, then {row['first']}; "
            + ", ".join(f"{part} {number(limit)}" for part, limit in row["limits"].items())
            + f"; busiest worker {row['busiest']['worker']:.1%},"
            f" store {row['busiest']['store']:.1%}"
            + f"; commits every {row['round of commits, ms']:.0f} ms"
            + f"; {number(sum(row['cores'].values()))} cores"
        )


def _median(report: Mapping[str, Any], name: str) -> Mapping[str, float]:
    [figure] = [figure for figure in report["figures"] if figure["name"] == name]
    median: Mapping[str, float] = figure["median"]
    return median


if __name__ == "__main__":
    main()
