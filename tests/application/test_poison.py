"""A command that makes the book raise is refused, and the market goes on."""

import logging
from typing import Any

import pytest

from domain.facts import Arrival
from domain.floor import Floor
from domain.order_book import OrderBook
from domain.values import OrderStatus
from tests.application.conftest import Core


def test_a_poisonous_order_is_rejected_and_the_next_one_trades(
    core: Core, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = OrderBook.place

    def fail_on_666(book: OrderBook, position: int, order: object, *rest: Any) -> None:
        if order.quantity == 666:  # type: ignore[attr-defined]
            raise ZeroDivisionError("poison")
        place(book, position, order, *rest)  # type: ignore[arg-type]

    maker = core.buy(100, 5)
    monkeypatch.setattr(OrderBook, "place", fail_on_666)
    with caplog.at_level(logging.ERROR):
        poison = core.sell(100, 666)
    taker = core.sell(100, 5)

    rejected = core.order(poison)
    assert (rejected.status, rejected.reason) == ("REJECTED", "INTERNAL_ERROR")
    assert core.order(maker).status is core.order(taker).status is OrderStatus.FILLED
    assert core.log_of_matching()[2:] == ["book.refused", "book.matched"]
    assert "ZeroDivisionError: poison" in caplog.text


def test_a_book_that_raised_half_way_through_a_change_is_not_used_again(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Applying facts can't fail; if it does all the same, the stored book is the true one."""
    arrive = Floor.arrive

    def fail_half_way(floor: Floor, arrival: Arrival, *rest: Any, **others: Any) -> None:
        arrive(floor, arrival, *rest, **others)
        if arrival.quantity == 666:
            raise KeyError("half way")

    maker = core.buy(100, 5)
    monkeypatch.setattr(Floor, "arrive", fail_half_way)
    poison = core.sell(100, 666)
    assert core.order(poison).status is OrderStatus.REJECTED
    assert core.order(maker).status is OrderStatus.OPEN

    core.sell(100, 5)
    assert core.order(maker).status is OrderStatus.FILLED
    assert core.matching.book_at("BTC-USD", 3).last_trade_id == 1


def test_poison_after_poison_is_refused_one_by_one(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it waits in one batch, and in the book of an asset that nobody traded yet."""
    place = OrderBook.place

    def fail_on_666(book: OrderBook, position: int, order: Any, *rest: Any) -> None:
        if order.quantity == 666:
            raise ZeroDivisionError("poison")
        place(book, position, order, *rest)

    monkeypatch.setattr(OrderBook, "place", fail_on_666)
    monkeypatch.setattr(core.matching, "process_batch", lambda *_: 0)
    ids = [core.buy(100, quantity) for quantity in (666, 5, 666, 666, 1)]
    monkeypatch.undo()
    monkeypatch.setattr(OrderBook, "place", fail_on_666)
    core.buy(1, 1, asset="ETH-USD")  # wakes the followers

    statuses = [core.order(order_id).status for order_id in ids]
    assert statuses == ["REJECTED", "OPEN", "REJECTED", "REJECTED", "OPEN"]
    assert core.log_of_matching() == [
        "book.opened",
        "book.refused",
        "book.matched",
        "book.refused",
        "book.refused",
        "book.matched",
        "book.opened",
        "book.matched",
    ]
