"""IOC and FOK, which never rest, and post-only orders, which never take."""

from tests.http.support import Service, Trading, outcome


def test_an_immediate_order_trades_what_it_can_and_the_rest_expires(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100)
    trading.sell(102)
    placed = trading.buy(101, 3, timeInForce="IOC")
    assert outcome(placed) == ("EXPIRED", 1, "INSUFFICIENT_LIQUIDITY")
    assert placed["remainingQuantity"] == 2
    assert trading.book()["bids"] == []


def test_fill_or_kill_is_filled_whole_over_as_many_prices_as_it_takes(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100)
    trading.sell(101, 9, displayQuantity=2)
    placed = trading.buy(101, 8, timeInForce="FOK")
    assert outcome(placed) == ("FILLED", 8, None)
    assert trading.trades() == [(100, 1), (101, 2), (101, 2), (101, 2), (101, 1)]


def test_fill_or_kill_that_cannot_have_all_of_it_leaves_the_book_as_it_was(
    service: Service,
) -> None:
    trading = Trading(service)
    trading.sell(100)
    trading.sell(101)
    before = trading.queue("asks")
    placed = trading.buy(100, 2, timeInForce="FOK")
    assert outcome(placed) == ("EXPIRED", 0, "INSUFFICIENT_LIQUIDITY")
    assert trading.trades() == []
    assert trading.queue("asks") == before


def test_fill_or_kill_that_meets_its_users_order_touches_nobody(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100, userId="somebody")
    mine = trading.sell(101, userId="me")
    before = trading.queue("asks")
    for mode in ("CANCEL_TAKER", "CANCEL_BOTH", "DECREMENT"):
        placed = trading.buy(101, 2, userId="me", timeInForce="FOK", selfTradePrevention=mode)
        assert outcome(placed) == ("EXPIRED", 0, "INSUFFICIENT_LIQUIDITY")
    assert trading.queue("asks") == before
    assert outcome(trading.now(mine)) == ("OPEN", 0, None)


def test_a_post_only_order_rests_where_there_is_nothing_to_take(service: Service) -> None:
    trading = Trading(service)
    trading.sell(101)
    placed = trading.buy(100, postOnly=True)
    assert outcome(placed) == ("OPEN", 0, None)
    assert placed["postOnly"] is True
    trading.sell(100)
    assert outcome(trading.now(placed)) == ("FILLED", 1, None)


def test_a_post_only_order_that_would_take_is_rejected(service: Service) -> None:
    trading = Trading(service)
    trading.sell(100)
    placed = trading.buy(100, postOnly=True)
    assert outcome(placed) == ("REJECTED", 0, "POST_ONLY_WOULD_TAKE")
    assert placed["reasonText"] == "The order is post-only, and would take"
    assert trading.now(placed) == placed
    assert [event["type"] for event in trading.trail(placed)] == ["order.placed", "order.rejected"]
    assert len(trading.queue("asks")) == 1


def test_what_is_so_unless_it_is_asked_for_is_not_shown_as_given(service: Service) -> None:
    trading = Trading(service)
    placed = trading.buy(100, postOnly=False, selfTradePrevention="NONE")
    assert placed["postOnly"] is None
    assert placed["selfTradePrevention"] is None
