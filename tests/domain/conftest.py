"""Markets whose every test ends with the book being given again by its events."""

from collections.abc import Iterator

import pytest

from tests.domain.replaying import check_the_orders, check_the_replay
from tests.domain.support import Exchange, Market


@pytest.fixture
def market() -> Iterator[Market]:
    market = Market()
    yield market
    check_the_replay(market)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """One whose orders are given again by their events too."""
    exchange = Exchange()
    yield exchange
    check_the_replay(exchange)
    check_the_orders(exchange)
