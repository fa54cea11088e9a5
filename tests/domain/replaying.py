"""What events alone, and snapshots, must give again: everything."""

from typing import Any

from domain.order_book import OrderBook
from domain.values import Side
from tests.domain.structure import check_the_structure
from tests.domain.support import Event, Exchange, Market, state


def replayed(events: list[Event], book: Any = None) -> OrderBook:
    """The book that the events alone give, or give after ``book``."""
    for each in events:
        book = each.mutate(book)
    assert isinstance(book, OrderBook)
    return book


def restored(book: OrderBook) -> OrderBook:
    """The book that a snapshot of it gives."""
    return OrderBook.Snapshot.take(book).mutate(None)


def check_the_replay(market: "Market") -> None:
    """Events alone, and a snapshot, give the book again; nothing in it is out of its place."""
    live = state(market.book)
    again = replayed(market.events)
    assert state(again) == live
    assert state(restored(market.book)) == live
    middle = len(market.events) // 2 + 1
    halfway = restored(replayed(market.events[:middle]))
    assert state(replayed(market.events[middle:], halfway)) == live
    for book in (market.book, again, halfway):
        check_the_structure(book.book)
        bids, asks = book.book.ladder(Side.BUY).best, book.book.ladder(Side.SELL).best
        assert bids is None or asks is None or bids.rank < -asks.rank, "the book is crossed"


def check_the_orders(exchange: Exchange) -> None:
    """Each order's events give it again."""
    for order_id, order in exchange.orders.items():
        rebuilt: Any = None
        for event in [*exchange.stories.get(order_id, []), *order.pending_events]:
            rebuilt = event.mutate(rebuilt)
        order.collect_events()
        assert rebuilt == order
