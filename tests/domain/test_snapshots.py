"""A snapshot is the book: what comes after it finds the same, and decides the same."""

from random import Random

import pytest

from domain.order_book import OrderBook
from domain.values import Side, Terms, TimeInForce
from tests.domain.replaying import replayed, restored
from tests.domain.support import Market, order_id, seconds, state

TERMS = Terms("user", "BTC-USD", Side.SELL, 100, 5)


def busy_day(seed: int, commands: int = 400) -> Market:
    """A market with some of everything: queues, partial fills, cancels, amends, refusals."""
    random = Random(seed)
    market = Market()
    for number in range(commands):
        name = f"order {random.randint(0, number)}"
        clock = seconds(number + random.randint(-5, 5))
        match random.choices(["place", "cancel", "amend"], [6, 1, 3])[0]:
            case "place":
                market.place(
                    f"order {number}",
                    random.choice(list(Side)),
                    random.randint(1, 9),
                    100 + random.randint(-4, 4),
                    user=f"user {random.randint(0, 20)}",
                    time_in_force=random.choice(
                        [TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC]
                    ),
                    at=clock,
                )
            case "cancel":
                market.cancel(name, at=clock)
            case "amend":
                price = random.choice([None, 100 + random.randint(-4, 4)])
                market.amend(name, price=price, quantity=random.randint(1, 9), at=clock)
    return market


@pytest.mark.parametrize("seed", range(5))
def test_a_snapshot_at_any_version_and_the_rest_is_the_replay_of_everything(seed: int) -> None:
    market = busy_day(seed)
    live = replayed(market.events[:1])
    for event in market.events[1:]:
        live = restored(event.mutate(live))
        assert live.version == event.originator_version
    assert state(live) == state(market.book)
    for version in range(0, len(market.events), 37):
        early = restored(replayed(market.events[: version + 1]))
        assert early.version == version
        assert state(replayed(market.events[version + 1 :], early)) == state(market.book)


@pytest.mark.parametrize("seed", range(5))
def test_a_restored_book_goes_on_deciding_the_same(seed: int) -> None:
    market, other = busy_day(seed), busy_day(seed)
    other.book = restored(other.book)
    assert state(other.book) == state(market.book)
    for each in (market, other):
        random = Random(seed)
        for number in range(100):
            side = random.choice(list(Side))
            each.place(f"late {number}", side, random.randint(1, 40), 100 + random.randint(-5, 5))
            each.amend(f"order {random.randint(0, 400)}", quantity=random.randint(1, 9))
            each.cancel(f"order {random.randint(0, 400)}")
    assert other.events == market.events
    assert state(other.book) == state(market.book)


def test_a_restored_book_ignores_commands_that_it_has_had() -> None:
    market = Market()
    market.sell("a", 5, 100)
    market.book = restored(market.book)
    assert market.send(market.book.place, market.new_order("a", TERMS, seconds(1))) == []


def test_an_empty_book_is_restored_empty() -> None:
    book = Market().book
    assert state(restored(book)) == state(book)


def test_a_snapshot_is_the_same_whoever_takes_it_and_when() -> None:
    market = busy_day(1)
    assert OrderBook.Snapshot.take(restored(market.book)) == OrderBook.Snapshot.take(market.book)


def test_taking_a_snapshot_changes_nothing() -> None:
    market = busy_day(2)
    before = state(market.book)
    taken = OrderBook.Snapshot.take(market.book)
    market.buy("another", 100, 200)
    assert state(taken.mutate(None)) == before


def test_columns_that_do_not_match_are_refused() -> None:
    market = Market()
    market.sell("a", 5, 100)
    taken = OrderBook.Snapshot.take(market.book)
    taken.state.asks.filled.append(0)
    with pytest.raises(ValueError, match="zip"):
        taken.mutate(None)


def test_an_end_of_an_order_that_is_not_there_is_refused() -> None:
    market = Market()
    market.sell("a", 5, 100)
    taken = OrderBook.Snapshot.take(market.book)
    taken.state.expiring.append(order_id("b"))
    with pytest.raises(ValueError, match=f"{order_id('b')} expires, and is not there"):
        taken.mutate(None)
