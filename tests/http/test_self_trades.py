"""Self-trade prevention: the taker's mode rules, when it meets an order of its user."""

import pytest

from tests.http.support import Service, Trading, outcome

STP = "SELF_TRADE_PREVENTION"


@pytest.mark.parametrize(
    ("mode", "of_the_taker", "of_the_maker"),
    [
        ("NONE", ("FILLED", 3, None), ("FILLED", 2, None)),
        ("CANCEL_TAKER", ("CANCELLED", 0, STP), ("OPEN", 0, None)),
        ("CANCEL_MAKER", ("FILLED", 3, None), ("CANCELLED", 0, STP)),
        ("CANCEL_BOTH", ("CANCELLED", 0, STP), ("CANCELLED", 0, STP)),
        ("DECREMENT", ("FILLED", 1, None), ("CANCELLED", 0, STP)),
    ],
)
def test_each_mode_leaves_taker_and_maker_their_own_way(
    service: Service, mode: str, of_the_taker: tuple[object], of_the_maker: tuple[object]
) -> None:
    trading = Trading(service)
    maker = trading.sell(100, 2, userId="me")
    trading.sell(101, 5, userId="somebody")
    taker = trading.buy(101, 3, userId="me", selfTradePrevention=mode)
    assert taker["selfTradePrevention"] == (None if mode == "NONE" else mode)
    assert outcome(taker) == of_the_taker
    assert trading.now(taker) == taker
    assert outcome(trading.now(maker)) == of_the_maker
    # What was cancelled has the quantity that it had; what was lowered trades to its end.
    assert trading.now(maker)["quantity"] == 2
    assert taker["quantity"] == (1 if mode == "DECREMENT" else 3)


def test_prevention_ends_only_what_was_left(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100, 2, userId="somebody")
    trading.sell(101, userId="me")
    taker = trading.buy(101, 3, userId="me", selfTradePrevention="CANCEL_TAKER")
    assert outcome(taker) == ("CANCELLED", 2, STP)
    assert taker["remainingQuantity"] == 1
    [_, cancelled] = trading.trail(taker)
    assert cancelled["type"] == "order.cancelled"
    assert cancelled["requestId"] is None
    assert [fill["quantity"] for fill in cancelled["fills"]] == [2]


def test_decrement_lowers_a_larger_maker_which_keeps_its_place(service: Service) -> None:
    trading = Trading(service)
    maker = trading.sell(100, 5, userId="me")
    behind = trading.sell(100, userId="somebody")
    taker = trading.buy(100, 2, userId="me", selfTradePrevention="DECREMENT")
    assert outcome(taker) == ("CANCELLED", 0, STP)
    assert taker["quantity"] == 2
    lowered = trading.now(maker)
    assert outcome(lowered) == ("OPEN", 0, None)
    assert (lowered["quantity"], lowered["remainingQuantity"]) == (3, 3)
    assert trading.queue("asks") == [(maker["orderId"], 100, 3), (behind["orderId"], 100, 1)]
    assert trading.trail(maker)[-1]["type"] == "order.decremented"
    assert trading.trail(maker)[-1]["quantity"] == 3


def test_decrement_with_as_much_left_of_both_cancels_both(service: Service) -> None:
    trading = Trading(service)
    maker = trading.sell(100, 2, userId="me")
    taker = trading.buy(100, 2, userId="me", selfTradePrevention="DECREMENT")
    assert outcome(taker) == outcome(trading.now(maker)) == ("CANCELLED", 0, STP)
    assert trading.book()["asks"] == []


def test_what_remains_of_an_iceberg_is_all_of_it(service: Service) -> None:
    trading = Trading(service)
    maker = trading.sell(100, 9, userId="me", displayQuantity=2)
    trading.buy(100, 8, userId="me", selfTradePrevention="DECREMENT")
    assert trading.now(maker)["quantity"] == 1
    assert trading.queue("asks") == [(maker["orderId"], 100, 1)]


def test_an_order_by_amount_is_cancelled_where_it_would_be_decremented(service: Service) -> None:
    trading = Trading(service)
    maker = trading.sell(100, 9, userId="me")
    taker = trading.buy(
        None,
        None,
        userId="me",
        orderType="MARKET",
        quoteQuantity=100,
        selfTradePrevention="DECREMENT",
    )
    assert outcome(taker) == ("CANCELLED", 0, STP)
    assert outcome(trading.now(maker)) == ("OPEN", 0, None)


def test_the_makers_mode_does_not_count(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100, userId="me", selfTradePrevention="CANCEL_BOTH")
    assert outcome(trading.buy(100, userId="me")) == ("FILLED", 1, None)
