"""The order view: commands from the log of Orders, and what became of them from Matching's."""

import pytest

from application.persistence.partitions import partition_of
from application.persistence.standstills import Standstills
from application.views.orders import OrderView
from domain.order_book import OrderBook
from domain.values import OrderStatus
from interface.following import process
from interface.kafka.topics import create, topics_of
from interface.settings import Settings
from tests.integration.conftest import Venue, at_work
from tests.integration.feeding import SECONDS, delete, market, servers, trade, views
from tests.integration.service import eventually

BOTH = ["Orders", "Matching"]


def places(view: OrderView) -> list[int | None]:
    return [view.recorder.max_tracking_id(leader) for leader in BOTH]


def status(venue: Venue, order_id: object) -> str:
    rows = venue.market.order_view.recorder.orders(limit=100)
    [found] = [row.status for row in rows if row.order_id == order_id]
    return found


def test_a_decision_waits_for_the_command_that_it_is_of(venue: Venue) -> None:
    view = venue.market.order_view
    order_id = venue.buy(100, 1)
    venue.market.matching.pull_and_process("Orders")
    assert view.process_batch("Matching") == 1  # the book was opened, which no command says
    assert view.process_batch("Matching") == 0
    assert places(view) == [None, 1]
    assert view.process_batch("Orders") == 1
    assert status(venue, order_id) == OrderStatus.PENDING
    assert view.process_batch("Matching") == 1
    assert status(venue, order_id) == OrderStatus.OPEN
    assert places(view) == [1, 2]


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_a_batch_has_no_decision_beyond_its_commands(venue: Venue, limit: int) -> None:
    for _ in range(5):
        venue.buy(100, 1)
        venue.sell(100, 1)
    venue.market.matching.pull_and_process("Orders")
    view = venue.market.order_view
    while view.process_batch(*BOTH, limit=limit):
        assert venue.difference() is None
    assert view.pending("Orders", 1) == view.pending("Matching", 1) == []
    assert {row.status for row in view.recorder.orders(limit=100)} == {OrderStatus.FILLED}


def test_outcomes_that_orders_records_are_no_news_to_the_view(venue: Venue) -> None:
    venue.buy(100, 1)
    venue.settle()
    before = places(venue.market.order_view)
    venue.market.orders.pull_and_process("Matching")
    assert venue.market.order_view.pending("Orders", 10) == []
    assert before == [1, 2]


def test_the_view_may_be_ahead_of_orders_and_behind_it(venue: Venue) -> None:
    """Verifying compares each with the decisions that it has had."""
    order_id = venue.buy(100, 5)
    venue.settle()
    venue.sell(100, 2)
    venue.cancel_all("user")
    venue.market.matching.pull_and_process("Orders")
    venue.market.order_view.process_batch(*BOTH)
    assert status(venue, order_id) == OrderStatus.CANCELLED
    assert venue.market.orders.get(order_id).status is OrderStatus.OPEN
    assert venue.difference() is None
    venue.market.orders.pull_and_process("Matching")
    venue.buy(100, 5)
    venue.market.matching.pull_and_process("Orders")
    venue.market.orders.pull_and_process("Matching")
    assert venue.difference() is None


def test_a_decision_of_an_order_that_is_not_there_parks_the_view(venue: Venue) -> None:
    order_id = venue.buy(100, 5)
    venue.settle()
    venue.execute("CREATE TABLE mislaid AS SELECT * FROM order_view.orders")
    venue.execute("DELETE FROM order_view.orders")
    venue.cancel(order_id)
    venue.market.matching.pull_and_process("Orders")
    view = venue.market.order_view
    assert process(view, BOTH, 100) == 0
    assert str(view.recorder.parked()).endswith(
        ": DataError: decisions change 1 orders, and 0 of them are there (SQLSTATE 22000)"
    )
    assert places(view)[1] == 2
    venue.execute("INSERT INTO order_view.orders SELECT * FROM mislaid")
    assert process(view, BOTH, 100) == 1
    assert view.recorder.parked() is None
    assert status(venue, order_id) == OrderStatus.CANCELLED
    assert venue.difference() is None


def test_a_decision_waits_for_its_command_in_the_same_partition(venue: Venue) -> None:
    assets = {partition_of(asset, 2): asset for asset in ("BTC-USD", "SOL-USD", "ETH-USD")}
    view = venue.market.order_view
    for number in range(2):
        venue.buy(100, 1, asset=assets[number])
    venue.market.matching.pull_and_process("Orders")
    for leader in BOTH:
        view.take_parts(leader, 2)
    commands = view.entries_after("Orders", 0, 10)
    _, second = [
        event
        for _, event in view.entries_after("Matching", 0, 10)
        if isinstance(event, OrderBook.Matched)
    ]
    view.process_parts("Orders", {1: (commands[1:], 2)})
    assert not view.due_in_partition("Matching", 0)(second)
    assert view.due_in_partition("Matching", 1)(second)


def test_topics_of_different_numbers_of_partitions_are_refused(
    venue: Venue, settings: Settings
) -> None:
    delete(settings, "book.events")
    prefix = settings.kafka_topic_prefix
    others = topics_of(settings.model_copy(update={"kafka_partitions": 2}))
    create(servers(settings), [each for each in others if each.name == f"{prefix}book.events"])
    standstills = Standstills(venue.market.orders.recorder.datastore)

    def reasons() -> list[str]:
        return [each.reason for each in standstills.all() if each.worker == OrderView.name]

    with at_work(market(venue, settings), views(venue, settings)):
        trade(venue)
        eventually(lambda: reasons() != [], SECONDS)
        eventually(lambda: not venue.market.book_view.pending("Matching", 1), SECONDS)
    [reason] = reasons()
    assert reason == (
        f"the topics need the same number of partitions, and {prefix}orders.events has 3,"
        f" {prefix}book.events has 2: delete them and make them anew with `ome kafka init`"
    )
    venue.settle()
    assert venue.difference() is None
