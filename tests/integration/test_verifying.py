"""`ome verify` finds what is wrong, wherever it is, and nothing where nothing is."""

import pytest

from tests.integration.conftest import Venue

DAMAGES = {
    "a price in the log of Matching": (
        """UPDATE matching_events SET state = replace(
            convert_from(state, 'UTF8'), '"price":99,', '"price":98,'
        )::bytea WHERE topic = 'book.matched'""",
        "Matching log",
    ),
    "a decision that is missing": (
        "DELETE FROM matching_events WHERE topic = 'book.cancelled'",
        "Matching log",
    ),
    "an outcome that is missing": (
        "DELETE FROM orders_events WHERE topic = 'order.cancelled'",
        "Orders log",
    ),
    "the status of an order": ("UPDATE order_view.orders SET status = 'OPEN'", "orders view"),
    "an order that is missing": (
        "DELETE FROM order_view.orders WHERE position = 1",
        "orders view, number of orders",
    ),
    "a request that is missing": (
        "DELETE FROM order_view.requests USING order_view.orders o WHERE o.position = 1",
        "orders view, requests",
    ),
    "an open order that is not listed": (
        "DELETE FROM order_view.open_orders",
        "orders view, open orders",
    ),
    "an ended order that is listed as open": (
        """INSERT INTO order_view.open_orders SELECT position, user_id, asset
            FROM order_view.orders WHERE status = 'FILLED' LIMIT 1""",
        "orders view, open orders",
    ),
    "the owner of an open order": (
        "UPDATE order_view.open_orders SET user_id = 'nobody'",
        "orders view, open orders",
    ),
    "a period that is too short": (
        "UPDATE order_view.periods SET earliest = latest",
        "orders view, periods",
    ),
    "a period that is missing": ("DELETE FROM order_view.periods", "orders view, periods"),
    "an event that can't be read": (
        "UPDATE orders_events SET state = 'no' WHERE notification_id = 1",
        "after the beginning of the log: MapperDeserialisationError: order.placed",
    ),
    "an order that nobody placed": (
        "DELETE FROM orders_events WHERE notification_id = 1",
        "Matching log",
    ),
    "a trade that is missing": (
        "DELETE FROM trade_view.trades WHERE trade_id = 2",
        "trades view",
    ),
    "a trade too many": (
        """INSERT INTO trade_view.trades SELECT asset, 99, price, quantity, maker_order_id,
            taker_order_id, taker_side, executed_at, 99 FROM trade_view.trades LIMIT 1""",
        "trades view, after the last trade",
    ),
    "the quantity of a level": (
        "UPDATE book_view.levels SET quantity = quantity + 1",
        "books view, BTC-USD",
    ),
    "a place in the queue": (
        "UPDATE book_view.resting_orders SET priority = -priority, remaining = remaining + 1",
        "books view, BTC-USD",
    ),
    "the version of a book": ("UPDATE book_view.books SET version = 0", "books view"),
    "a level of no book": (
        "INSERT INTO book_view.levels VALUES ('NO-BOOK', 'BUY', 1, 1, 1)",
        "books view, levels of assets without a book",
    ),
}


def test_a_market_that_traded_is_consistent(venue: Venue) -> None:
    assert venue.difference() is None
    venue.trade_a_little()
    assert venue.difference() is None


def test_a_market_whose_followers_are_behind_is_consistent(venue: Venue) -> None:
    venue.trade_a_little()
    venue.buy(97, 1)
    assert venue.difference() is None
    venue.market.matching.pull_and_process("Orders")
    assert venue.difference() is None
    venue.market.orders.pull_and_process("Matching")
    venue.market.book_view.process_batch("Matching", limit=1)
    assert venue.difference() is None


@pytest.mark.parametrize(("damage", "where"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found(venue: Venue, damage: str, where: str) -> None:
    venue.trade_a_little()
    venue.execute(damage)
    difference = venue.difference()
    assert difference is not None
    assert difference.startswith(where)
