"""A command is decided once, whatever comes again, and each decision counts one version."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from domain.errors import RejectReason
from domain.instrument import Instrument, TradingStatus
from domain.order_book import OrderBook
from domain.requests import ExpiryRequest, InstrumentRequest, MassCancelRequest, TimeRequest
from domain.values import Side, Terms, book_id
from tests.domain.support import (
    START,
    Command,
    Event,
    Market,
    event,
    fill,
    request_id,
    seconds,
    state,
)


def test_a_book_opens_empty_at_version_0() -> None:
    book = OrderBook.open("BTC-USD", START)
    assert book.collect_events() == [
        event(
            OrderBook.Created,
            originator_id=book_id("BTC-USD"),
            originator_version=0,
            originator_topic="book",
            timestamp=START,
            asset="BTC-USD",
        )
    ]
    assert (book.version, book.position, book.last_trade_id) == (0, 0, 0)
    assert [list(book.book.walk(side)) for side in Side] == [[], []]


def test_the_version_counts_the_commands_refused_ones_too() -> None:
    market = Market()
    market.sell("a", 5, 100)
    market.cancel("unknown")
    market.amend("a", quantity=4)
    market.amend("a", quantity=5)
    market.buy("b", 9, 100)
    market.cancel("b")
    assert market.book.version == 6
    assert [each.originator_version for each in market.events] == [0, 1, 2, 3, 4, 5, 6]
    assert [each.position for each in market.events[1:]] == [10, 20, 30, 40, 50, 60]


def asked(market: Market, kind: Any, **facts: Any) -> Command:
    """A request about no one order."""
    return kind.make(
        request_id(99), user_id="user", asset=market.asset, time=seconds(99), **facts
    ).collect_events()[0]


REPEATS: dict[str, Callable[[Market], Callable[[int], None]]] = {
    "an order": lambda market: partial(
        market.book.place,
        order=market.new_order("again", Terms("user", market.asset, Side.BUY, 100, 5), seconds(99)),
    ),
    "a cancel": lambda market: partial(
        market.book.cancel, request=market.cancel_request("a", seconds(99))
    ),
    "a refused cancel": lambda market: partial(
        market.book.cancel, request=market.cancel_request("unknown", seconds(99))
    ),
    "a reduction": lambda market: partial(
        market.book.replace, request=market.replace_request("a", seconds(99), quantity=1)
    ),
    "a new price": lambda market: partial(
        market.book.replace, request=market.replace_request("a", seconds(99), price=150)
    ),
    "a refusal": lambda market: partial(
        market.book.refuse,
        command=market.cancel_request("a", seconds(99)),
        reason=RejectReason.INTERNAL_ERROR,
    ),
    "a cancel of all": lambda market: partial(
        market.book.mass_cancel, request=asked(market, MassCancelRequest)
    ),
    "the time": lambda market: partial(market.book.expire, request=asked(market, ExpiryRequest)),
    "another time": lambda market: partial(
        market.book.reset_time, request=asked(market, TimeRequest)
    ),
    "other rules": lambda market: partial(
        market.book.change_instrument,
        request=asked(market, InstrumentRequest, instrument=Instrument(tick_size=10)),
    ),
    "the end of all assets": lambda market: partial(
        market.book.delist_by_default,
        request=asked(
            market, InstrumentRequest, instrument=Instrument(status=TradingStatus.DELISTED)
        ),
    ),
}


@pytest.mark.parametrize("command", REPEATS.values(), ids=REPEATS.keys())
@pytest.mark.parametrize("position", [0, 1, 10, 15, 20])
def test_a_position_that_the_book_has_had_is_ignored(
    command: Callable[[Market], Callable[[int], None]], position: int
) -> None:
    market = Market()
    market.sell("a", 5, 100)  # position 10
    market.sell("b", 5, 101)  # position 20
    before = state(market.book)
    command(market)(position)
    assert market.book.collect_events() == []
    assert state(market.book) == before


@pytest.mark.parametrize("command", REPEATS.values(), ids=REPEATS.keys())
def test_the_next_position_is_decided(
    command: Callable[[Market], Callable[[int], None]],
) -> None:
    market = Market()
    market.sell("a", 5, 100)
    market.sell("b", 5, 101)
    command(market)(21)
    events: list[Event] = list(market.book.collect_events())
    assert [each.position for each in events] == [21]


def test_an_order_that_comes_again_trades_once() -> None:
    market = Market()
    market.sell("seller", 5, 100)
    assert market.buy("buyer", 3, 100) == [
        market.matched("buyer", Side.BUY, 3, 100, fills=[fill(1, "seller", 100, 3, left=2)])
    ]
    terms = Terms("user", market.asset, Side.BUY, 100, 3)
    again = market.new_order("buyer", terms, seconds(market.commands))
    assert market.send(market.book.place, again) == []
    assert market.asks == [("seller", 2, 100)]
    assert market.book.last_trade_id == 1


def test_the_same_commands_always_give_the_same_book_and_the_same_events() -> None:
    def play() -> Market:
        market = Market()
        market.sell("a", 5, 100)
        market.sell("b", 5, 100)
        market.buy("c", 7, 101)
        market.amend("b", price=99)
        market.cancel("b")
        market.cancel("b")
        return market

    one, two = play(), play()
    assert one.events == two.events
    assert state(one.book) == state(two.book)


def test_any_past_state_can_be_had_from_the_events() -> None:
    market = Market()
    states = [state(market.book)]
    for command in (
        lambda: market.sell("a", 5, 100),
        lambda: market.sell("b", 5, 101),
        lambda: market.buy("c", 7, 101),
        lambda: market.amend("b", quantity=4),
        lambda: market.amend("b", price=102, quantity=9),
        lambda: market.cancel("a"),
        lambda: market.cancel("b"),
    ):
        command()
        states.append(state(market.book))
    replayed = None
    for version, each in enumerate(market.events):
        replayed = each.mutate(replayed)
        assert state(replayed) == states[version]
