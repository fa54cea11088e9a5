"""A market order by quoteQuantity spends, or receives, at most so much, in whole lots."""

from typing import Any

from domain.errors import CancelReason
from domain.values import Side
from tests.domain.support import Event, Market, fill
from tests.domain.words import BUY, MARKET, SELL, TOO_LITTLE, UNIT

NO_LOT = CancelReason.NO_WHOLE_LOT


def spend(market: Market, name: str, amount: int, **terms: Any) -> list[Event]:
    return market.buy(name, None, None, order_type=MARKET, quote_quantity=amount, **terms)


def earn(market: Market, name: str, amount: int, **terms: Any) -> list[Event]:
    return market.sell(name, None, None, order_type=MARKET, quote_quantity=amount, **terms)


def came(market: Market, name: str, side: Side, **facts: Any) -> list[Event]:
    """The one event: no price, no quantity."""
    return [market.matched(name, side, None, None, **facts)]


def test_what_is_spent_to_the_end_is_filled(market: Market) -> None:
    market.sell("a", 5, 10 * UNIT)
    market.sell("b", 5, 20 * UNIT)
    assert spend(market, "m", 90) == came(
        market,
        "m",
        BUY,
        fills=[fill(1, "a", 10 * UNIT, 5, left=0), fill(2, "b", 20 * UNIT, 2, left=3)],
    )
    assert (market.bids, market.asks) == ([], [("b", 3, 20 * UNIT)])


def test_what_is_spent_with_the_last_order_of_the_book_is_filled(market: Market) -> None:
    market.sell("a", 5, 10 * UNIT)
    assert spend(market, "m", 50) == came(
        market, "m", BUY, fills=[fill(1, "a", 10 * UNIT, 5, left=0)]
    )


def test_what_is_left_over_buys_no_lot_and_expires(market: Market) -> None:
    market.sell("a", 5, 30 * UNIT)
    assert spend(market, "m", 100) == came(
        market, "m", BUY, fills=[fill(1, "a", 30 * UNIT, 3, left=2)], reason=NO_LOT
    )
    assert market.asks == [("a", 2, 30 * UNIT)]


def test_what_is_left_over_is_held_against_the_best_price_that_is_left(market: Market) -> None:
    """At 10 there would be a lot more for the 15 that are left; that price is gone."""
    market.sell("a", 5, 10 * UNIT)
    market.sell("b", 5, 20 * UNIT)
    assert spend(market, "m", 65) == came(
        market, "m", BUY, fills=[fill(1, "a", 10 * UNIT, 5, left=0)], reason=NO_LOT
    )
    assert market.asks == [("b", 5, 20 * UNIT)]


def test_too_little_for_one_lot_trades_nothing(market: Market) -> None:
    market.sell("a", 5, 10 * UNIT)
    assert spend(market, "m", 9) == came(market, "m", BUY, reason=NO_LOT)
    assert market.asks == [("a", 5, 10 * UNIT)]


def test_too_small_a_book_leaves_money_over(market: Market) -> None:
    market.sell("a", 5, 10 * UNIT)
    assert spend(market, "m", 65) == came(
        market, "m", BUY, fills=[fill(1, "a", 10 * UNIT, 5, left=0)], reason=TOO_LITTLE
    )


def test_an_empty_book_leaves_all_of_it(market: Market) -> None:
    assert spend(market, "m", 65) == came(market, "m", BUY, reason=TOO_LITTLE)


def test_more_beyond_the_band_is_the_reason(market: Market) -> None:
    market.sell("a", 5, 10 * UNIT)
    market.sell("b", 5, 11 * UNIT)
    market.set_rules(max_price=10 * UNIT)
    assert spend(market, "m", 100) == came(
        market,
        "m",
        BUY,
        fills=[fill(1, "a", 10 * UNIT, 5, left=0)],
        reason=CancelReason.PRICE_BAND,
    )


def test_only_whole_lots_are_bought_at_each_price(market: Market) -> None:
    market.sell("a", 40, 10 * UNIT)
    market.set_rules(lot_size=10)
    assert spend(market, "m", 399) == came(
        market, "m", BUY, fills=[fill(1, "a", 10 * UNIT, 30, left=10)], reason=NO_LOT
    )


def test_a_price_with_decimals_is_not_overspent(market: Market) -> None:
    """Three at 0.33333333 cost 0.99999999: the last 0.00000001 buys nothing."""
    market.sell("a", 9, 33_333_333)
    assert spend(market, "m", 1) == came(
        market, "m", BUY, fills=[fill(1, "a", 33_333_333, 3, left=6)], reason=NO_LOT
    )


def test_a_sale_receives_at_most_so_much(market: Market) -> None:
    market.buy("a", 2, 20 * UNIT)
    market.buy("b", 9, 10 * UNIT)
    assert earn(market, "m", 75) == came(
        market,
        "m",
        SELL,
        fills=[fill(1, "a", 20 * UNIT, 2, left=0), fill(2, "b", 10 * UNIT, 3, left=6)],
        reason=NO_LOT,
    )
    assert earn(market, "n", 60) == came(
        market, "n", SELL, fills=[fill(3, "b", 10 * UNIT, 6, left=0)]
    )


def test_it_takes_slice_after_slice_of_an_iceberg(market: Market) -> None:
    market.sell("ice", 5, 10 * UNIT, display_quantity=2)
    assert spend(market, "m", 35) == came(
        market,
        "m",
        BUY,
        fills=[
            fill(1, "ice", 10 * UNIT, 2, left=3, refill=2),
            fill(2, "ice", 10 * UNIT, 1, left=2),
        ],
        reason=NO_LOT,
    )
    assert market.asks == [("ice", 2, 10 * UNIT)]


def test_it_trades_at_most_the_largest_quantity_of_an_order(market: Market) -> None:
    market.sell("a", 9, 10 * UNIT)
    market.set_rules(max_quantity=7)
    assert spend(market, "m", 1_000) == came(
        market,
        "m",
        BUY,
        fills=[fill(1, "a", 10 * UNIT, 7, left=2)],
        reason=CancelReason.QUANTITY_LIMIT,
    )


def test_the_largest_quantity_counts_over_all_prices(market: Market) -> None:
    market.sell("a", 4, 10 * UNIT)
    market.sell("b", 4, 11 * UNIT)
    market.sell("c", 4, 12 * UNIT)
    market.set_rules(max_quantity=8)
    assert spend(market, "m", 1_000) == came(
        market,
        "m",
        BUY,
        fills=[fill(1, "a", 10 * UNIT, 4, left=0), fill(2, "b", 11 * UNIT, 4, left=0)],
        reason=CancelReason.QUANTITY_LIMIT,
    )
    assert market.asks == [("c", 4, 12 * UNIT)]


def test_the_largest_quantity_that_the_money_ends_with_is_no_limit(market: Market) -> None:
    market.sell("a", 9, 10 * UNIT)
    market.set_rules(max_quantity=7)
    assert spend(market, "m", 70) == came(
        market, "m", BUY, fills=[fill(1, "a", 10 * UNIT, 7, left=2)]
    )


def test_the_largest_quantity_is_reached_in_whole_lots(market: Market) -> None:
    market.sell("a", 10, 10 * UNIT)
    market.set_rules(max_quantity=7, lot_size=2)
    assert spend(market, "m", 1_000) == came(
        market,
        "m",
        BUY,
        fills=[fill(1, "a", 10 * UNIT, 6, left=4)],
        reason=CancelReason.QUANTITY_LIMIT,
    )


def test_a_rest_below_one_lot_buys_nothing_more_at_the_next_order(market: Market) -> None:
    """An order has at most 10 here; in lots of 4 that is 8."""
    market.sell("a", 8, 10 * UNIT)
    market.sell("b", 8, 10 * UNIT)
    market.set_rules(lot_size=4, max_quantity=10)
    assert spend(market, "m", 1_000) == came(
        market,
        "m",
        BUY,
        fills=[fill(1, "a", 10 * UNIT, 8, left=0)],
        reason=CancelReason.QUANTITY_LIMIT,
    )
    assert market.asks == [("b", 8, 10 * UNIT)]


def test_an_amount_that_no_float_holds_is_spent_exactly(market: Market) -> None:
    many = 10**17 + 1
    market.sell("a", 2 * many, UNIT)
    assert spend(market, "m", many) == came(
        market, "m", BUY, fills=[fill(1, "a", UNIT, many, left=many)]
    )


def test_a_sale_that_ends_at_the_best_price_goes_to_no_worse_one(market: Market) -> None:
    """At 10 the 15 that are left would be a lot; the best price that is left is 20."""
    market.buy("a", 1, 20 * UNIT)
    market.buy("b", 1, 20 * UNIT)
    market.buy("c", 9, 10 * UNIT)
    assert earn(market, "m", 35) == came(
        market, "m", SELL, fills=[fill(1, "a", 20 * UNIT, 1, left=0)], reason=NO_LOT
    )
    assert market.bids == [("b", 1, 20 * UNIT), ("c", 9, 10 * UNIT)]


def test_where_no_price_is_left_the_book_held_too_little_whatever_is_left_over(
    market: Market,
) -> None:
    market.sell("a", 5, 10 * UNIT)
    assert spend(market, "m", 55) == came(
        market, "m", BUY, fills=[fill(1, "a", 10 * UNIT, 5, left=0)], reason=TOO_LITTLE
    )
