"""What a trade sets off is settled to its end, in one command and in one order."""

from typing import Any

from tests.domain.support import Market, fill
from tests.domain.words import (
    BUY,
    SELL,
    STOP,
    STOP_LIMIT,
    TOO_LITTLE,
    execution,
)


def wait_to_buy(market: Market, name: str, quantity: int, stop_price: int, **more: Any) -> None:
    market.buy(name, quantity, None, order_type=STOP, stop_price=stop_price, **more)


def wait_to_sell(market: Market, name: str, quantity: int, stop_price: int, **more: Any) -> None:
    market.sell(name, quantity, None, order_type=STOP, stop_price=stop_price, **more)


def nothing(name: str, side: Any = BUY, quantity: int = 1) -> Any:
    """A stop that found nothing."""
    return execution(name, side, quantity, None, reason=TOO_LITTLE)


def test_one_stop_triggers_the_next_and_so_on_to_the_end(market: Market) -> None:
    for number in range(3):
        wait_to_buy(market, f"stop {number}", 1, 100 + number)
    for number in range(4):
        market.sell(f"ask {number}", 1, 100 + number)
    assert market.buy("b", 1, 100) == [
        market.matched(
            "b",
            BUY,
            1,
            100,
            fills=[fill(1, "ask 0", 100, 1, left=0)],
            triggered=[
                execution("stop 0", BUY, 1, None, [fill(2, "ask 1", 101, 1, left=0)]),
                execution("stop 1", BUY, 1, None, [fill(3, "ask 2", 102, 1, left=0)]),
                execution("stop 2", BUY, 1, None, [fill(4, "ask 3", 103, 1, left=0)]),
            ],
        )
    ]
    assert (market.asks, list(market.book.floor.stops)) == ([], [])
    assert (market.book.last_trade_id, market.book.floor.last_price) == (4, 103)


def test_a_hundred_of_them_are_one_command(market: Market) -> None:
    for number in range(100):
        wait_to_sell(market, f"stop {number}", 1, 1_000 - number)
        market.buy(f"bid {number}", 1, 1_000 - number)
    events = market.sell("s", 1, 1_000)
    assert len(events) == 1
    executions = events[0].triggered
    assert [market.names[each.order_id] for each in executions] == [
        f"stop {number}" for number in range(100)
    ]
    assert [each.fills[0].price for each in executions[:-1]] == list(range(999, 900, -1))
    assert executions[-1] == nothing("stop 99", SELL)


def test_one_trade_triggers_those_that_wait_for_a_rise_first_and_the_nearest_of_each(
    market: Market,
) -> None:
    """Before any trade stops wait on both sides of any price."""
    wait_to_sell(market, "falls to 101", 1, 101)
    wait_to_buy(market, "rises to 100", 1, 100)
    wait_to_sell(market, "falls to 100", 1, 100)
    wait_to_buy(market, "falls to 102", 1, 102, take_profit=True)
    wait_to_buy(market, "rises to 98", 1, 98)
    wait_to_sell(market, "rises to 99", 1, 99, take_profit=True)
    wait_to_buy(market, "rises to 101", 1, 101)
    wait_to_sell(market, "falls to 99", 1, 99)
    market.sell("ask", 1, 100)
    assert market.buy("b", 1, 100) == [
        market.matched(
            "b",
            BUY,
            1,
            100,
            fills=[fill(1, "ask", 100, 1, left=0)],
            triggered=[
                nothing("rises to 98"),
                nothing("rises to 99", SELL),
                nothing("rises to 100"),
                nothing("falls to 102"),
                nothing("falls to 101", SELL),
                nothing("falls to 100", SELL),
            ],
        )
    ]


def test_at_one_trigger_the_earliest_comes_first(market: Market) -> None:
    for name in ("first", "second", "third"):
        wait_to_buy(market, name, 2, 100)
    market.sell("ask", 1, 100)
    market.sell("more", 5, 101)
    assert market.buy("b", 1, 100) == [
        market.matched(
            "b",
            BUY,
            1,
            100,
            fills=[fill(1, "ask", 100, 1, left=0)],
            triggered=[
                execution("first", BUY, 2, None, [fill(2, "more", 101, 2, left=3)]),
                execution("second", BUY, 2, None, [fill(3, "more", 101, 2, left=1)]),
                execution(
                    "third", BUY, 2, None, [fill(4, "more", 101, 1, left=0)], reason=TOO_LITTLE
                ),
            ],
        )
    ]


def test_each_trade_triggers_in_its_turn(market: Market) -> None:
    """The second trade's stops come after all of the first trade's, though nearer ones."""
    wait_to_buy(market, "rises to 101", 1, 101)
    wait_to_sell(market, "falls to 100", 1, 100)
    wait_to_buy(market, "rises to 100", 1, 100)
    market.sell("a", 1, 100)
    market.sell("b", 1, 101)
    assert market.buy("taker", 2, 101) == [
        market.matched(
            "taker",
            BUY,
            2,
            101,
            fills=[fill(1, "a", 100, 1, left=0), fill(2, "b", 101, 1, left=0)],
            triggered=[
                nothing("rises to 100"),
                nothing("falls to 100", SELL),
                nothing("rises to 101"),
            ],
        )
    ]


def test_what_a_stop_triggers_goes_to_the_back_of_the_queue(market: Market) -> None:
    wait_to_buy(market, "one", 1, 100)
    wait_to_buy(market, "two", 1, 100)
    wait_to_buy(market, "of one", 1, 101)
    market.sell("a", 1, 100)
    market.sell("b", 1, 101)
    market.sell("c", 2, 102)
    assert market.buy("taker", 1, 100) == [
        market.matched(
            "taker",
            BUY,
            1,
            100,
            fills=[fill(1, "a", 100, 1, left=0)],
            triggered=[
                execution("one", BUY, 1, None, [fill(2, "b", 101, 1, left=0)]),
                execution("two", BUY, 1, None, [fill(3, "c", 102, 1, left=1)]),
                execution("of one", BUY, 1, None, [fill(4, "c", 102, 1, left=0)]),
            ],
        )
    ]


def test_both_directions_trigger_each_other(market: Market) -> None:
    wait_to_sell(market, "falls", 1, 95)
    wait_to_buy(market, "rises", 1, 105)
    wait_to_sell(market, "falls further", 1, 90)
    market.sell("ask", 1, 105)
    market.sell("next ask", 1, 110)
    market.buy("bid", 1, 95)
    market.buy("next bid", 1, 90)
    assert market.buy("b", 1, 105) == [
        market.matched(
            "b",
            BUY,
            1,
            105,
            fills=[fill(1, "ask", 105, 1, left=0)],
            triggered=[execution("rises", BUY, 1, None, [fill(2, "next ask", 110, 1, left=0)])],
        )
    ]
    assert market.sell("s", 1, 95) == [
        market.matched(
            "s",
            SELL,
            1,
            95,
            fills=[fill(3, "bid", 95, 1, left=0)],
            triggered=[
                execution("falls", SELL, 1, None, [fill(4, "next bid", 90, 1, left=0)]),
                nothing("falls further", SELL),
            ],
        )
    ]


def test_a_triggered_limit_order_rests_and_meets_the_next_one(market: Market) -> None:
    market.sell("resting", 3, 104, order_type=STOP_LIMIT, stop_price=100, take_profit=True)
    wait_to_buy(market, "taking", 2, 100)
    market.sell("ask", 1, 100)
    assert market.buy("b", 1, 100) == [
        market.matched(
            "b",
            BUY,
            1,
            100,
            fills=[fill(1, "ask", 100, 1, left=0)],
            triggered=[
                execution("resting", SELL, 3, 104, rested=3),
                execution("taking", BUY, 2, None, [fill(2, "resting", 104, 2, left=1)]),
            ],
        )
    ]
    assert market.asks == [("resting", 1, 104)]
