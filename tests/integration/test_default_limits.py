"""The limits that a market records at its first start, and the log from before them."""

from pathlib import Path
from uuid import UUID

from application.default_limits import DEFAULT_LIMITS, record_default_limits
from domain.values import OrderStatus, OrderType, TimeInForce
from tests.integration.conftest import Venue

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def status(venue: Venue, order_id: UUID) -> str:
    row = venue.market.order_view.recorder.order(order_id)
    assert row is not None
    return row.status


def test_limits_are_recorded_once(venue: Venue) -> None:
    orders = venue.market.orders
    record_default_limits(orders, venue.tick())
    record_default_limits(orders, venue.tick())
    venue.settle()
    assert orders.end_of_log("Matching") == 2  # the venue was opened, and has these limits
    row = venue.market.book_view.recorder.instrument("*")
    assert row is not None
    assert row.instrument.limits == DEFAULT_LIMITS
    assert venue.difference() is None


def test_the_documentation_has_each_default() -> None:
    text = " ".join(DOCS.read_text().split("\n## Limits\n")[1].split("\n## ")[0].split())
    for name, words in {
        "max_open_orders": "open orders of a user in an asset",
        "max_user_stops": "waiting stops of a user in an asset",
        "max_stops": "waiting stops of an asset",
        "max_slices": "slices of an iceberg",
        "max_parts": "parts of one event of a book",
    }.items():
        number = f"{getattr(DEFAULT_LIMITS, name):,}".replace(",", " ")
        assert f" {number} {words}" in text


def test_a_log_that_exceeds_the_limits_verifies_and_goes_on(venue: Venue) -> None:
    excess = (DEFAULT_LIMITS.max_user_stops or 0) + 5
    stop = {"order_type": OrderType.STOP, "stop_price": 120}
    before = [venue.buy(None, 1, **stop) for _ in range(excess)]
    iceberg = venue.sell(100, 1_000, display_quantity=1, user_id="seller")
    record_default_limits(venue.market.orders, venue.tick())
    refused = venue.buy(None, 1, **stop)
    venue.sell(120, 2, user_id="seller")
    venue.cancel(before[0])
    venue.settle()
    assert [status(venue, order_id) for order_id in (*before[:2], iceberg, refused)] == [
        OrderStatus.CANCELLED,
        OrderStatus.OPEN,
        OrderStatus.OPEN,
        OrderStatus.REJECTED,
    ]
    venue.buy(None, 1_001, order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC)
    venue.settle()
    assert status(venue, iceberg) == OrderStatus.FILLED
    assert venue.difference() is None
