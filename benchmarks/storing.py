"""Events stored a second: by our recorder, and by COPY of the same rows into the same table."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import psycopg
from eventsourcing.persistence import JSONTranscoder, StoredEvent

from application.persistence.mapper import JSONMapper
from benchmarks.our_pipeline import placement
from benchmarks.raw_rows import event_row
from benchmarks.raw_store import append
from benchmarks.running import fresh_database
from benchmarks.workload import orders
from domain.order import Order
from interface.database_url import database_env
from system import build, create_tables

_BATCH = 1_000


def stored_by_recorder(server_url: str, count: int) -> float:
    events = _stored_events(count)
    with _tables(server_url) as url, closing(build(database_env(url))) as market:
        return _rate(events, market.orders.recorder.insert_events)


def stored_by_copy(server_url: str, count: int) -> float:
    events = _stored_events(count)
    row = event_row("order.placed")
    with _tables(server_url) as url, psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()

        def insert(batch: Sequence[StoredEvent]) -> None:
            rows = [
                row(event.originator_id.bytes, event.originator_version, event.state)  # type: ignore[union-attr]
                for event in batch
            ]
            append(cursor, "orders_events", rows)

        return _rate(events, insert)


def _stored_events(count: int) -> list[StoredEvent]:
    """Of orders placed."""
    mapper = JSONMapper(JSONTranscoder())
    now = datetime.now(UTC)
    events: list[StoredEvent] = []
    for order in orders(count):
        placed = Order.place(*placement(order), now)
        events += map(mapper.to_stored_event, placed.collect_events())
    return events


@contextmanager
def _tables(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        create_tables(database_env(url))
        yield url


def _rate(events: list[StoredEvent], insert: Callable[[Sequence[StoredEvent]], object]) -> float:
    """Events a second; the first batch warms up and doesn't count."""
    batches = [events[start : start + _BATCH] for start in range(0, len(events), _BATCH)]
    insert(batches[0])
    begun = time.monotonic()
    for batch in batches[1:]:
        insert(batch)
    return sum(map(len, batches[1:])) / (time.monotonic() - begun)
