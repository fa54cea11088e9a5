"""The library as it comes: the same aggregates, one event and one commit at a time.

The stock process recorder, the library's followers with their own loop, and views that take
one event after the other. The mapper is ours: the stock transcoder gives enumerations back
as plain text, which the aggregates don't take; at this rate it makes no difference.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import psycopg
from eventsourcing.application import AggregateNotFoundError, ProcessingEvent
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper
from eventsourcing.system import ProcessApplication

from application.deciding import COMMANDS, decide
from application.persistence.mapper import JSONMapper
from application.views.view import View
from benchmarks.our_pipeline import placement
from benchmarks.placing import serve
from benchmarks.running import Child
from domain.order import Order
from domain.order_book import OrderBook
from domain.outcomes import outcomes
from domain.values import book_id
from interface.database_url import database_env
from system import ENV, VIEWS, system

_POLL_SECONDS = 0.005


class _Stock(ProcessApplication[UUID]):
    def construct_mapper(self) -> Mapper[UUID]:
        return self.factory.mapper(transcoder=JSONTranscoder(), mapper_class=JSONMapper)


class StockOrders(_Stock):
    name = "Orders"

    def policy(
        self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]
    ) -> None:
        for outcome in outcomes(domain_event):
            order: Any = self.repository.get(outcome.order_id)
            order.record(outcome.event, **outcome.facts)
            processing_event.collect_events(order)


class StockMatching(_Stock):
    name = "Matching"
    topics = tuple(command.TOPIC for command in COMMANDS)
    env: ClassVar[dict[str, str]] = {
        "AGGREGATE_CACHE_MAXSIZE": "0"
    }  # without it, books are replayed for each command

    def policy(
        self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]
    ) -> None:
        command: Any = domain_event
        try:
            book: OrderBook = self.repository.get(book_id(command.asset))
        except AggregateNotFoundError:
            book = OrderBook.open(command.asset, command.timestamp)
        position: int = processing_event.tracking.notification_id  # type: ignore[union-attr]
        decide(book, position, command, venue=None)
        processing_event.collect_events(book)


def _settings(url: str) -> dict[str, str]:
    ours = {name: value for name, value in ENV.items() if "RECORDER_TOPIC" not in name}
    return {**ours, **database_env(url)}


def engine(url: str, _batch: int) -> Child:
    """Start the stock followers, whose positions are in tables that the library makes."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE orders_tracking, matching_tracking")
    env = {**_settings(url), "CREATE_TABLE": "y"}
    for application in (StockOrders, StockMatching):
        application(env).close()
    return Child(["benchmarks.stock_pipeline", "engine", url])


def run_engine(env: dict[str, str]) -> None:
    orders, matching = StockOrders(env), StockMatching(env)
    views = [view(env) for view in VIEWS.values()]
    pairs: list[tuple[Any, Any]] = [(matching, orders), (orders, matching)]
    leaders = {app.name: app for app in (orders, matching)}
    pairs += [
        (view, leaders[leader])
        for view in views
        for leader, name in system().edges
        if name == view.name
    ]
    for follower, leader in pairs:
        follower.follow(leader.name, leader.notification_log)
        step = _one_by_one if isinstance(follower, View) else _all_that_waits
        threading.Thread(target=_forever, args=(step, follower, leader.name)).start()


def _forever(step: Callable[[Any, str], bool], follower: Any, leader: str) -> None:
    while True:
        if not step(follower, leader):
            time.sleep(_POLL_SECONDS)


def _one_by_one(view: View, leader: str) -> bool:
    return bool(view.process_batch(leader, limit=1))


def _all_that_waits(follower: _Stock, leader: str) -> bool:
    """The library's own; each event is processed and recorded alone."""
    since = follower.recorder.max_tracking_id(leader)
    follower.pull_and_process(leader, start=since)
    return follower.recorder.max_tracking_id(leader) != since


def place_orders(env: dict[str, str]) -> None:
    with closing(StockOrders(env)) as orders:

        def place(batch: Sequence[Any]) -> int:
            for order_id, terms in batch:
                recordings = orders.save(Order.place(order_id, terms, datetime.now(UTC)))
            return recordings[-1].notification.id

        serve(placement, place)


if __name__ == "__main__":
    (run_engine if sys.argv[1] == "engine" else place_orders)(_settings(sys.argv[2]))
