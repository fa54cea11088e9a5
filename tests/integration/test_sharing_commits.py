"""Threads that place at once share commits: exact outcomes, on PostgreSQL."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from application.orders import ClientOrderIdReused, Orders, Placement, Receipt
from application.persistence.connection import AWAY
from domain.values import Side, Terms, derive_order_id
from system import build
from tests.integration.conftest import Venue, patient

THREADS = 32
EACH = 50
KNOWN = 20

TERMS = Terms("user", "BTC-USD", Side.BUY, 100, 5)


def named(number: int, price: int = 100) -> Placement:
    """An order with a clientOrderId."""
    terms = TERMS._replace(price=price, client_order_id=f"known-{number}")
    return Placement(derive_order_id(terms.user_id, terms.asset, f"known-{number}"), terms)


def unnamed(thread: int, turn: int) -> Placement:
    return Placement(UUID(int=1_000 * thread + turn + 1), TERMS)


def stored_orders(orders: Orders) -> dict[Any, int]:
    """All orders that are stored, each with its position."""
    notifications = orders.recorder.select_notifications(1, 10_000)
    assert len({each.originator_id for each in notifications}) == len(notifications)
    return {each.originator_id: each.id for each in notifications}


@pytest.fixture
def venue(venue: Venue) -> Venue:
    """With connections for all threads."""
    venue.market.close()
    venue.market = build({**patient(venue.env), "POSTGRES_MAX_OVERFLOW": str(THREADS)})
    return venue


def test_each_of_many_threads_is_told_what_became_of_its_own_orders(venue: Venue) -> None:
    """Every fifth order is one of those that all threads want, and every tenth has other terms."""
    orders = venue.market.orders
    now = venue.tick()

    def trade(thread: int) -> list[tuple[Placement, Receipt | ClientOrderIdReused]]:
        told = []
        for turn in range(EACH):
            placement = unnamed(thread, turn)
            if turn % 5 == 0:
                placement = named((thread + turn) % KNOWN, price=100 + (turn % 10 == 0))
            [result] = orders.place_all([placement], now)
            told.append((placement, result))
        return told

    with closing(venue.market), ThreadPoolExecutor(THREADS) as pool:
        told = [each for trading in pool.map(trade, range(THREADS)) for each in trading]
        assert len(told) == THREADS * EACH

        receipts = [result for _, result in told if isinstance(result, Receipt)]
        new = Counter(receipt.order.id for receipt in receipts if receipt.is_new)
        assert set(new.values()) == {1}
        assert new.keys() == {placement.order_id for placement, _ in told}
        stored = stored_orders(orders)
        assert stored.keys() == new.keys()
        for placement, result in told:
            if isinstance(result, Receipt):
                assert result.order.terms == placement.terms
                assert result.position == stored[placement.order_id]
            else:
                assert orders.get(placement.order_id).terms != placement.terms
        venue.settle()
        assert venue.difference() is None


def test_batches_that_overlap_place_every_order_once(venue: Venue) -> None:
    """In opposite orders, and some of it placed before: each is in many others' way."""
    orders = venue.market.orders
    for number in range(0, 60, 7):
        orders.place(named(number), venue.tick())
    now = venue.tick()

    def place(thread: int) -> Sequence[Receipt | ClientOrderIdReused]:
        numbers = [(thread * 5 + step) % 60 for step in range(30)]
        return orders.place_all([named(n) for n in (numbers, numbers[::-1])[thread % 2]], now)

    with closing(venue.market), ThreadPoolExecutor(THREADS) as pool:
        for _ in range(5):
            results = [result for told in pool.map(place, range(THREADS)) for result in told]
            assert all(isinstance(result, Receipt) for result in results)
        assert len(stored_orders(orders)) == 60
        venue.settle()
        assert venue.difference() is None


def test_sessions_that_end_meanwhile_lose_nothing_that_was_told(venue: Venue) -> None:
    orders: Orders = venue.market.orders
    now = venue.tick()

    def trade(thread: int) -> list[UUID]:
        told = []
        for turn in range(EACH):
            placement = named(thread * EACH + turn)
            while placement.order_id not in told:
                try:
                    orders.place(placement, now)
                except AWAY:
                    continue  # asked again, it is placed once
                told.append(placement.order_id)
        return told

    with ThreadPoolExecutor(THREADS) as pool:
        trading = [pool.submit(trade, thread) for thread in range(THREADS)]
        for _ in range(5):
            venue.end_all_sessions()
        told = {order_id for each in trading for order_id in each.result(60)}
    assert len(told) == THREADS * EACH
    venue.market.close()
    venue.market = build(patient(venue.env))
    assert len(stored_orders(venue.market.orders)) == THREADS * EACH
    venue.settle()
    assert venue.difference() is None
