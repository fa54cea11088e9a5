"""A market order trades at any price within the band, and never rests."""

from domain.errors import CancelReason
from tests.domain.support import Market, fill
from tests.domain.words import BUY, FOK, GTD, MARKET, SELL, TOO_LITTLE, UNIT, departure

BEYOND = CancelReason.PRICE_BAND
NO_LOT = CancelReason.NO_WHOLE_LOT


def test_it_takes_the_best_prices_however_far_they_go(market: Market) -> None:
    market.sell("near", 2, 100)
    market.sell("far", 5, 10**17)
    assert market.buy("m", 3, None, order_type=MARKET) == [
        market.matched(
            "m",
            BUY,
            3,
            None,
            fills=[fill(1, "near", 100, 2, left=0), fill(2, "far", 10**17, 1, left=4)],
        )
    ]
    assert (market.bids, market.asks) == ([], [("far", 4, 10**17)])


def test_a_sale_goes_down_to_the_last_unit_of_price(market: Market) -> None:
    market.buy("low", 5, 1)
    market.buy("high", 2, 100)
    assert market.sell("m", 7, None, order_type=MARKET) == [
        market.matched(
            "m",
            SELL,
            7,
            None,
            fills=[fill(1, "high", 100, 2, left=0), fill(2, "low", 1, 5, left=0)],
        )
    ]


def test_it_expires_where_there_is_nothing(market: Market) -> None:
    market.buy("same side", 5, 100)
    assert market.buy("m", 5, None, order_type=MARKET) == [
        market.matched("m", BUY, 5, None, reason=TOO_LITTLE)
    ]
    assert (market.bids, market.asks) == ([("same side", 5, 100)], [])


def test_what_it_does_not_find_expires_and_does_not_rest(market: Market) -> None:
    market.sell("s", 2, 100)
    assert market.buy("m", 5, None, order_type=MARKET) == [
        market.matched("m", BUY, 5, None, fills=[fill(1, "s", 100, 2, left=0)], reason=TOO_LITTLE)
    ]
    assert (market.bids, market.asks) == ([], [])
    assert market.sell("next", 1, 1) == [market.matched("next", SELL, 1, 1, rested=1)]


# The band.


def in_a_band(market: Market) -> None:
    """The last trade is at 1000, the band from 900 to 1100; trade 1 is done."""
    market.set_rules(band_percent=10 * UNIT)
    market.sell("first", 1, 1_000)
    market.buy("last", 1, 1_000)


def test_it_stops_at_the_end_of_the_band_where_there_is_more_beyond(market: Market) -> None:
    in_a_band(market)
    market.set_rules()  # so that something rests beyond
    market.sell("inside", 2, 1_100)
    market.sell("outside", 2, 1_101)
    market.set_rules(band_percent=10 * UNIT)
    assert market.buy("m", 3, None, order_type=MARKET) == [
        market.matched(
            "m", BUY, 3, None, fills=[fill(2, "inside", 1_100, 2, left=0)], reason=BEYOND
        )
    ]
    assert market.asks == [("outside", 2, 1_101)]


def test_a_sale_stops_at_the_lower_end_of_the_band(market: Market) -> None:
    in_a_band(market)
    market.set_rules()
    market.buy("inside", 2, 900)
    market.buy("outside", 2, 899)
    market.set_rules(band_percent=10 * UNIT)
    assert market.sell("m", 3, None, order_type=MARKET) == [
        market.matched("m", SELL, 3, None, fills=[fill(2, "inside", 900, 2, left=0)], reason=BEYOND)
    ]
    assert market.bids == [("outside", 2, 899)]


def test_the_band_is_not_the_reason_where_there_is_nothing_beyond(market: Market) -> None:
    in_a_band(market)
    market.sell("inside", 2, 1_100)
    assert market.buy("m", 3, None, order_type=MARKET) == [
        market.matched(
            "m", BUY, 3, None, fills=[fill(2, "inside", 1_100, 2, left=0)], reason=TOO_LITTLE
        )
    ]


def test_what_it_finds_within_the_band_is_enough_whatever_lies_beyond(market: Market) -> None:
    market.sell("outside", 2, 120)
    market.sell("inside", 2, 100)
    market.set_rules(max_price=110)
    assert market.buy("m", 2, None, order_type=MARKET) == [
        market.matched("m", BUY, 2, None, fills=[fill(1, "inside", 100, 2, left=0)])
    ]


def test_static_ends_hold_before_any_trade(market: Market) -> None:
    market.sell("outside", 2, 111)
    market.set_rules(max_price=110)
    assert market.buy("m", 2, None, order_type=MARKET) == [
        market.matched("m", BUY, 2, None, reason=BEYOND)
    ]
    assert market.asks == [("outside", 2, 111)]


def test_the_band_is_that_of_the_trades_before_it_and_does_not_move_with_its_own(
    market: Market,
) -> None:
    in_a_band(market)
    market.set_rules()
    market.sell("a", 1, 1_050)
    market.sell("b", 1, 1_120)  # within 10 per cent of 1050, not of 1000
    market.set_rules(band_percent=10 * UNIT)
    assert market.buy("m", 2, None, order_type=MARKET) == [
        market.matched("m", BUY, 2, None, fills=[fill(2, "a", 1_050, 1, left=0)], reason=BEYOND)
    ]
    assert market.buy("n", 1, None, order_type=MARKET) == [
        market.matched("n", BUY, 1, None, fills=[fill(3, "b", 1_120, 1, left=0)])
    ]


# All or nothing.


def test_a_fok_trades_all_of_it(market: Market) -> None:
    market.sell("a", 2, 100)
    market.sell("b", 2, 200)
    assert market.buy("m", 4, None, order_type=MARKET, time_in_force=FOK) == [
        market.matched(
            "m",
            BUY,
            4,
            None,
            fills=[fill(1, "a", 100, 2, left=0), fill(2, "b", 200, 2, left=0)],
        )
    ]


def test_a_fok_that_finds_too_little_trades_nothing(market: Market) -> None:
    market.sell("a", 2, 100)
    assert market.buy("m", 3, None, order_type=MARKET, time_in_force=FOK) == [
        market.matched("m", BUY, 3, None, reason=TOO_LITTLE)
    ]
    assert market.asks == [("a", 2, 100)]


def test_a_fok_does_not_reach_beyond_the_band(market: Market) -> None:
    market.sell("a", 2, 100)
    market.sell("b", 2, 101)
    market.set_rules(max_price=100)
    assert market.buy("m", 3, None, order_type=MARKET, time_in_force=FOK) == [
        market.matched("m", BUY, 3, None, reason=BEYOND)
    ]
    assert market.asks == [("a", 2, 100), ("b", 2, 101)]


def test_it_never_meets_what_has_expired(market: Market) -> None:
    late = market.time.replace(hour=13)
    market.sell("s", 2, 100, time_in_force=GTD, expires_at=late)
    assert market.buy("m", 2, None, order_type=MARKET, at=late) == [
        market.matched("m", BUY, 2, None, reason=TOO_LITTLE, expired=[departure("s", SELL, 2, 100)])
    ]
