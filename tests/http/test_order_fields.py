"""The fields of requests: which go together, what is said where they don't, and no exception."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, combinations
from pathlib import Path
from typing import Any, TypeVar

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

import interface.http
from domain.instrument import DEFAULT, Instrument, TradingStatus
from domain.values import OrderType, SelfTradePrevention, Side, Terms, TimeInForce
from interface.http.fields import (
    Amendment,
    amendment,
    asset_or_default,
    instrument_rules,
    mass_cancel,
    user_settings,
)
from interface.http.order_fields import order_terms
from interface.http.problems import BadInput

PAGE = Path(interface.http.__file__).parents[2].joinpath("docs", "order-types.md").read_text()
ONE = 100_000_000  # units

T = TypeVar("T")

WHO = {"userId": "user123", "asset": "BTC-USD", "type": "BUY"}
# A value of each field of which it depends on the others whether it goes with them.
VALUES: dict[str, Any] = {
    "price": Decimal(100),
    "stopPrice": Decimal(90),
    "quantity": Decimal(2),
    "quoteQuantity": Decimal(500),
    "postOnly": True,
    "displayQuantity": Decimal(1),
    "takeProfit": True,
    "expiresAt": "2030-01-31T12:00:00Z",
}
LIMIT = {**WHO, "price": Decimal(100), "quantity": Decimal(2)}
MARKET = {**WHO, "orderType": "MARKET", "quantity": Decimal(2)}
STOP = {**WHO, "orderType": "STOP", "stopPrice": Decimal(90), "quantity": Decimal(2)}
STOP_LIMIT = {**STOP, "orderType": "STOP_LIMIT", "price": Decimal(100)}
GOOD = [LIMIT, MARKET, STOP, STOP_LIMIT]
KINDS = list(OrderType)

NO_DATE_TIME = (
    "ExpiresAt must be a date and time with Z or an offset, to the microsecond at most,"
    " such as 2030-01-31T12:00:00Z"
)
NO_SUCH_TIME = "ExpiresAt must be a date and time that exists"
NO_YEAR = "ExpiresAt must be in the years 1970 to 9999, in UTC"


def faults(call: Callable[[Any], object], argument: object) -> list[tuple[str, str]]:
    """What is said to be wrong: fields and messages."""
    with pytest.raises(BadInput) as refused:
        call(argument)
    return [(fault["field"], fault["message"]) for fault in refused.value.errors]


def taken(call: Callable[[Any], T], argument: object) -> T | None:
    """What is made of it, or None for a refusal that says what is wrong."""
    try:
        return call(argument)
    except BadInput as refused:
        told = refused
    assert told.errors
    assert told.answer()[1] == 400  # it can be written, whatever it repeats
    return None


def documented() -> dict[str, dict[str, str]]:
    """The cells of the table of what goes together, by orderType and field."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    [start] = [n for n, line in enumerate(lines) if line.startswith("| `orderType`")]
    heading, _, *rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in lines[start : start + 2 + len(OrderType)]
    ]
    return {row[0]: dict(zip(heading[1:], row[1:], strict=True)) for row in rows}


DOCUMENTED = documented()


def documented_times(order_type: str) -> tuple[str, set[str]]:
    """The default and all of the timeInForce values that go with a type."""
    cell = DOCUMENTED[order_type]["timeInForce"]
    [default] = re.findall(r"(\w+) \(default\)", cell)
    return default, set(re.findall(r"\b[A-Z]{3}\b", cell))


def is_documented(order_type: str, time: str | None, names: set[str]) -> bool:
    """Whether docs/order-types.md has an order of just these fields make sense."""
    default, times = documented_times(order_type)
    if (time or default) not in times:
        return False
    has_expiry = (time or default) == "GTD"
    if ("expiresAt" in names) != has_expiry:
        return False
    if (time or default) == "FOK" and "quoteQuantity" in names:
        return False
    cells = DOCUMENTED[order_type]
    alternatives = {name for name, cell in cells.items() if cell == "one of both"}
    if alternatives and len(alternatives & names) != 1:
        return False
    return all(
        goes(cell, time or default, is_given=name in names)
        for name, cell in cells.items()
        if name not in {"timeInForce", *alternatives}
    )


def goes(cell: str, time: str, *, is_given: bool) -> bool:
    if cell == "required":
        return is_given
    return not is_given or cell == "yes" or time in cell.split(", ")


def subsets(names: list[str]) -> Iterator[set[str]]:
    return map(set, chain.from_iterable(combinations(names, n) for n in range(len(names) + 1)))


def test_the_document_has_a_row_for_each_type_and_a_column_for_each_field() -> None:
    assert list(DOCUMENTED) == list(OrderType)
    for cells in DOCUMENTED.values():
        assert set(cells) == {"timeInForce", *VALUES} - {"expiresAt"}
    used = set(chain.from_iterable(documented_times(each)[1] for each in DOCUMENTED))
    assert used == set(TimeInForce)
    assert "`expiresAt` is required with GTD, and goes with nothing else." in PAGE
    assert "FOK with `quoteQuantity` makes no\nsense" in PAGE


@pytest.mark.parametrize("time", [None, *TimeInForce])
@pytest.mark.parametrize("order_type", OrderType)
def test_what_goes_together_is_what_the_document_says(
    order_type: OrderType, time: TimeInForce | None
) -> None:
    differing = []
    for names in subsets(list(VALUES)):
        fields = {**WHO, "orderType": order_type.value, **{name: VALUES[name] for name in names}}
        if time is not None:
            fields["timeInForce"] = time.value
        terms = taken(order_terms, fields)
        if (terms is not None) != is_documented(order_type, time, names):
            differing.append((terms, names))
        if terms is not None:
            assert terms.order_type is order_type
            assert terms.time_in_force == (time or documented_times(order_type)[0])
    assert not differing


def test_an_order_of_the_required_fields_alone_is_a_limit_order_until_cancelled() -> None:
    assert order_terms(LIMIT) == Terms("user123", "BTC-USD", Side.BUY, 100 * ONE, 2 * ONE)


def test_every_field_becomes_its_term() -> None:
    fields = {
        **STOP_LIMIT,
        "type": "SELL",
        "timeInForce": "GTD",
        "postOnly": True,
        "takeProfit": True,
        "displayQuantity": "0.5",
        "expiresAt": "2030-01-31T12:00:00.25+02:00",
        "selfTradePrevention": "DECREMENT",
        "clientOrderId": "mine",
    }
    assert order_terms(fields) == Terms(
        user_id="user123",
        asset="BTC-USD",
        side=Side.SELL,
        price=100 * ONE,
        quantity=2 * ONE,
        order_type=OrderType.STOP_LIMIT,
        time_in_force=TimeInForce.GTD,
        client_order_id="mine",
        post_only=True,
        stop_price=90 * ONE,
        take_profit=True,
        display_quantity=ONE // 2,
        expires_at=datetime(2030, 1, 31, 10, 0, 0, 250_000, tzinfo=UTC),
        self_trade_prevention=SelfTradePrevention.DECREMENT,
    )


def test_a_market_order_by_amount_has_no_quantity() -> None:
    terms = order_terms({**WHO, "orderType": "MARKET", "quoteQuantity": "500"})
    assert terms.quantity is None
    assert terms.quote_quantity == 500 * ONE
    assert terms.time_in_force is TimeInForce.IOC


@pytest.mark.parametrize("base", GOOD, ids=KINDS)
@pytest.mark.parametrize("nothing", [None, False])
def test_a_flag_that_is_false_is_as_not_given(base: dict[str, Any], nothing: object) -> None:
    assert order_terms({**base, "postOnly": nothing, "takeProfit": nothing}) == order_terms(base)


@pytest.mark.parametrize("base", GOOD, ids=KINDS)
def test_a_field_that_is_null_is_as_not_given(base: dict[str, Any]) -> None:
    absent = {name: None for name in (*VALUES, "orderType", "timeInForce") if name not in base}
    assert order_terms({**absent, **base}) == order_terms(base)


SINGLE_FAULTS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    # a good order, what it is given instead, the field and the message
    (LIMIT, {"price": None}, "price", "Price must be greater than 0"),
    (LIMIT, {"price": ""}, "price", "Price must be greater than 0"),
    (LIMIT, {"quantity": None}, "quantity", "Quantity must be greater than 0"),
    (
        LIMIT,
        {"stopPrice": Decimal(1)},
        "stopPrice",
        "StopPrice goes with orderType STOP or STOP_LIMIT only",
    ),
    (
        LIMIT,
        {"takeProfit": True},
        "takeProfit",
        "TakeProfit goes with orderType STOP or STOP_LIMIT only",
    ),
    (
        LIMIT,
        {"quoteQuantity": Decimal(1)},
        "quoteQuantity",
        "QuoteQuantity goes with orderType MARKET only",
    ),
    (
        LIMIT,
        {"timeInForce": "IOC", "postOnly": True},
        "postOnly",
        "PostOnly goes with timeInForce GTC, GTD or DAY only",
    ),
    (
        LIMIT,
        {"timeInForce": "FOK", "displayQuantity": Decimal(1)},
        "displayQuantity",
        "DisplayQuantity goes with timeInForce GTC, GTD or DAY only",
    ),
    (LIMIT, {"postOnly": "true"}, "postOnly", "PostOnly must be true or false"),
    (LIMIT, {"postOnly": Decimal(1)}, "postOnly", "PostOnly must be true or false"),
    (LIMIT, {"takeProfit": []}, "takeProfit", "TakeProfit must be true or false"),
    (
        LIMIT,
        {"timeInForce": "GTD"},
        "expiresAt",
        "ExpiresAt is required with timeInForce GTD",
    ),
    (
        LIMIT,
        {"expiresAt": VALUES["expiresAt"]},
        "expiresAt",
        "ExpiresAt goes with timeInForce GTD only",
    ),
    (
        LIMIT,
        {"displayQuantity": "2.00000001"},
        "displayQuantity",
        "DisplayQuantity must be at most the quantity",
    ),
    (
        LIMIT,
        {"displayQuantity": "0.00199999"},
        "displayQuantity",
        "DisplayQuantity must be at least a thousandth of the quantity",
    ),
    (LIMIT, {"displayQuantity": "0"}, "displayQuantity", "DisplayQuantity must be greater than 0"),
    (
        LIMIT,
        {"orderType": "ICEBERG"},
        "orderType",
        "OrderType must be LIMIT, MARKET, STOP or STOP_LIMIT",
    ),
    (
        LIMIT,
        {"timeInForce": "FOREVER"},
        "timeInForce",
        "TimeInForce must be GTC, IOC, FOK, GTD or DAY",
    ),
    (
        LIMIT,
        {"selfTradePrevention": ""},
        "selfTradePrevention",
        "SelfTradePrevention must be NONE, CANCEL_TAKER, CANCEL_MAKER, CANCEL_BOTH or DECREMENT",
    ),
    (MARKET, {"quantity": None}, "quantity", "Quantity or quoteQuantity is required"),
    (
        MARKET,
        {"quoteQuantity": Decimal(1)},
        "quoteQuantity",
        "QuoteQuantity goes in place of quantity, not with it",
    ),
    (
        MARKET,
        {"quantity": None, "quoteQuantity": Decimal(1), "timeInForce": "FOK"},
        "quoteQuantity",
        "QuoteQuantity goes with timeInForce IOC only",
    ),
    (
        MARKET,
        {"quoteQuantity": Decimal(1), "timeInForce": "FOK"},
        "quoteQuantity",
        "QuoteQuantity goes with timeInForce IOC only",
    ),
    # What many send with market orders. Another price would not do either.
    (
        MARKET,
        {"price": Decimal(0)},
        "price",
        "Price goes with orderType LIMIT or STOP_LIMIT only",
    ),
    (
        MARKET,
        {"timeInForce": "GTC"},
        "timeInForce",
        "TimeInForce must be IOC or FOK with orderType MARKET",
    ),
    (STOP, {"stopPrice": None}, "stopPrice", "StopPrice is required with orderType STOP"),
    (
        STOP,
        {"timeInForce": "IOC"},
        "timeInForce",
        "TimeInForce must be GTC, GTD or DAY with orderType STOP",
    ),
    (
        STOP,
        {"postOnly": True},
        "postOnly",
        "PostOnly goes with orderType LIMIT or STOP_LIMIT only",
    ),
    (
        STOP,
        {"displayQuantity": Decimal(5)},
        "displayQuantity",
        "DisplayQuantity goes with orderType LIMIT or STOP_LIMIT only",
    ),
    (STOP_LIMIT, {"price": None}, "price", "Price must be greater than 0"),
]


@pytest.mark.parametrize(("base", "change", "field", "message"), SINGLE_FAULTS)
def test_a_fault_names_its_field_and_says_why(
    base: dict[str, Any], change: dict[str, Any], field: str, message: str
) -> None:
    assert faults(order_terms, {**base, **change}) == [(field, message)]


def test_several_faults_come_back_together_in_the_order_of_the_fields() -> None:
    assert faults(
        order_terms,
        {
            "userId": "user123",
            "type": "HOLD",
            "orderType": "MARKET",
            "timeInForce": "GTC",
            "price": Decimal(1),
            "postOnly": True,
            "stopPrice": "x",
            "expiresAt": "tomorrow",
            "colour": "red",
        },
    ) == [
        ("asset", "Asset is required"),
        ("type", "Type must be BUY or SELL"),
        ("price", "Price goes with orderType LIMIT or STOP_LIMIT only"),
        ("timeInForce", "TimeInForce must be IOC or FOK with orderType MARKET"),
        ("postOnly", "PostOnly goes with orderType LIMIT or STOP_LIMIT only"),
        ("stopPrice", "StopPrice goes with orderType STOP or STOP_LIMIT only"),
        ("expiresAt", NO_DATE_TIME),
        ("quantity", "Quantity or quoteQuantity is required"),
        ("colour", "colour is unknown"),
    ]


@pytest.mark.parametrize("bad", ["X", "", Decimal(1), True, [], {}])
def test_what_depends_on_a_bad_type_or_time_is_not_judged(bad: object) -> None:
    everything = {**WHO, **VALUES}
    assert [name for name, _ in faults(order_terms, {**everything, "orderType": bad})] == [
        "orderType"
    ]
    bare = {**WHO, "orderType": bad, "timeInForce": bad}
    assert [name for name, _ in faults(order_terms, bare)] == ["orderType", "timeInForce"]
    # The type is good: what depends on it alone is judged.
    told = faults(order_terms, {**everything, "timeInForce": bad})
    assert [name for name, _ in told] == ["timeInForce", "stopPrice", "takeProfit", "quoteQuantity"]


@pytest.mark.parametrize("least", ["0.002", "2"])
def test_an_iceberg_shows_a_thousandth_of_it_to_all_of_it(least: str) -> None:
    assert order_terms({**LIMIT, "displayQuantity": least}).display_quantity


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00.1Z", datetime(2030, 1, 31, 12, 0, 0, 100_000, tzinfo=UTC)),
        ("2030-01-31T12:00:00.000001Z", datetime(2030, 1, 31, 12, 0, 0, 1, tzinfo=UTC)),
        ("2030-01-31T00:00:00+05:30", datetime(2030, 1, 30, 18, 30, tzinfo=UTC)),
        ("2028-02-29T12:00:00-00:00", datetime(2028, 2, 29, 12, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),  # past: the book decides
        ("1969-12-31T23:00:00-01:00", datetime(1970, 1, 1, tzinfo=UTC)),
        (
            "9999-12-31T23:59:59.999999Z",
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ),
    ],
)
def test_an_expiry_is_a_moment_in_utc(text: str, moment: datetime) -> None:
    expires_at = order_terms({**LIMIT, "timeInForce": "GTD", "expiresAt": text}).expires_at
    assert expires_at == moment
    assert expires_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2030-01-31T12:00:00", NO_DATE_TIME),
        ("2030-01-31", NO_DATE_TIME),
        ("2030-01-31 12:00:00Z", NO_DATE_TIME),
        ("2030-01-31T12Z", NO_DATE_TIME),
        ("20300131T120000Z", NO_DATE_TIME),
        ("2030-W05-4T12:00:00Z", NO_DATE_TIME),
        ("2030-01-31T12:00:00,5Z", NO_DATE_TIME),
        ("2030-01-31T12:00:00.1234567Z", NO_DATE_TIME),
        ("2030-01-31T12:00:00+0100", NO_DATE_TIME),
        ("2030-01-31T12:00:00+01:00:30", NO_DATE_TIME),
        ("2030-01-31T12:00:00+24:00", NO_DATE_TIME),
        ("2030-01-31T24:00:00Z", NO_DATE_TIME),
        ("2030-01-31T12:00:00Z\n", NO_DATE_TIME),
        (" 2030-01-31T12:00:00Z", NO_DATE_TIME),
        ("\u0662030-01-31T12:00:00Z", NO_DATE_TIME),
        ("+12030-01-31T12:00:00Z", NO_DATE_TIME),
        (Decimal(1_900_000_000), NO_DATE_TIME),
        (True, NO_DATE_TIME),
        (["2030-01-31T12:00:00Z"], NO_DATE_TIME),
        ("2030-02-30T12:00:00Z", NO_SUCH_TIME),
        ("2030-13-01T12:00:00Z", NO_SUCH_TIME),
        ("2030-01-31T12:00:60Z", NO_SUCH_TIME),
        ("0000-01-01T00:00:00Z", NO_SUCH_TIME),
        ("1969-12-31T23:59:59Z", NO_YEAR),
        ("1970-01-01T00:00:00+00:01", NO_YEAR),
        ("0001-01-01T00:00:00+01:00", NO_YEAR),
        ("9999-12-31T23:59:59-00:01", NO_YEAR),
    ],
)
def test_an_expiry_that_is_no_moment_is_refused(value: object, message: str) -> None:
    order = {**LIMIT, "timeInForce": "GTD", "expiresAt": value}
    assert faults(order_terms, order) == [("expiresAt", message)]


def test_an_amendment_takes_each_of_its_fields_alone() -> None:
    assert amendment({"price": "1"}) == Amendment(ONE, None, None, None)
    assert amendment({"quantity": "1"}) == Amendment(None, ONE, None, None)
    assert amendment({"stopPrice": "1"}) == Amendment(None, None, ONE, None)
    assert amendment({"displayQuantity": "1"}) == Amendment(None, None, None, ONE)


def test_an_amendment_of_nothing_is_refused() -> None:
    nothing = ("price", "Price, quantity, stopPrice or displayQuantity is required")
    assert faults(amendment, {}) == [nothing]
    assert faults(amendment, {"price": None, "postOnly": True}) == [
        nothing,
        ("postOnly", "postOnly is unknown"),
    ]
    assert faults(amendment, {"stopPrice": Decimal(0), "displayQuantity": "x"}) == [
        ("stopPrice", "StopPrice must be greater than 0"),
        ("displayQuantity", "DisplayQuantity must be a number"),
    ]


def test_rules_that_are_not_given_are_as_by_default() -> None:
    assert instrument_rules({}) == DEFAULT
    assert instrument_rules({"tickSize": None, "status": None, "sessionEnd": "00:00"}) == DEFAULT


def test_every_rule_of_an_instrument_is_taken() -> None:
    assert instrument_rules(
        {
            "tickSize": "0.5",
            "lotSize": "0.1",
            "minQuantity": "0.2",
            "maxQuantity": Decimal(1000),
            "minNotional": Decimal(10),
            "minPrice": Decimal(1),
            "maxPrice": Decimal(100_000),
            "bandPercent": Decimal("7.5"),
            "sessionEnd": "23:59",
            "status": "POST_ONLY",
        }
    ) == Instrument(
        tick_size=ONE // 2,
        lot_size=ONE // 10,
        min_quantity=ONE // 5,
        max_quantity=1000 * ONE,
        min_notional=10 * ONE,
        min_price=ONE,
        max_price=100_000 * ONE,
        band_percent=750_000_000,
        session_end=23 * 60 + 59,
        status=TradingStatus.POST_ONLY,
    )


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            {"minQuantity": "2", "maxQuantity": "1"},
            [("minQuantity", "MinQuantity must be at most maxQuantity")],
        ),
        (
            {"minPrice": "2", "maxPrice": "1"},
            [("minPrice", "MinPrice must be at most maxPrice")],
        ),
        (
            {"lotSize": "1", "minQuantity": "1.1", "maxQuantity": "1.9"},
            [("lotSize", "LotSize has no multiple from minQuantity to maxQuantity")],
        ),
        (
            {"lotSize": "1", "maxQuantity": "0.5"},
            [("lotSize", "LotSize has no multiple from minQuantity to maxQuantity")],
        ),
        (
            {"lotSize": "6000000000", "minQuantity": "7000000000"},
            [("lotSize", "LotSize has no multiple from minQuantity to maxQuantity")],
        ),
        (
            {"tickSize": "5", "minPrice": "6", "maxPrice": "9"},
            [("tickSize", "TickSize has no multiple from minPrice to maxPrice")],
        ),
        (
            {"tickSize": "0", "minPrice": "2", "maxPrice": "1", "sessionEnd": "24:00"},
            [
                ("tickSize", "TickSize must be greater than 0"),
                ("sessionEnd", "SessionEnd must be a time of day, 00:00 to 23:59"),
                ("minPrice", "MinPrice must be at most maxPrice"),
            ],
        ),
        (
            {"status": "OPEN", "bandPercent": "-1", "asset": "A"},
            [
                ("bandPercent", "BandPercent must be greater than 0"),
                ("status", "Status must be TRADING, HALTED, POST_ONLY or DELISTED"),
                ("asset", "asset is unknown"),
            ],
        ),
    ],
)
def test_rules_that_contradict_each_other_are_refused(
    rules: dict[str, str], told: list[tuple[str, str]]
) -> None:
    assert faults(instrument_rules, rules) == told


@pytest.mark.parametrize(
    "rules",
    [
        {"minQuantity": "1", "maxQuantity": "1"},
        {"lotSize": "0.3", "minQuantity": "0.5", "maxQuantity": "0.6"},
        {"tickSize": "10000000000"},
        {"tickSize": "5", "minPrice": "5", "maxPrice": "5"},
    ],
)
def test_a_range_of_one_value_is_no_contradiction(rules: dict[str, str]) -> None:
    instrument_rules(rules)


@pytest.mark.parametrize(
    "value", ["1:00", "24:00", "12:60", "12:00:00", "12:00Z", "12:00\n", "\u0661\u0662:00", 12, ""]
)
def test_the_end_of_a_session_is_a_time_of_day(value: object) -> None:
    told = ("sessionEnd", "SessionEnd must be a time of day, 00:00 to 23:59")
    assert faults(instrument_rules, {"sessionEnd": value}) == [told]


def test_the_default_instrument_has_a_name_that_no_asset_has() -> None:
    assert asset_or_default("*") == "*"
    assert asset_or_default("BTC-USD") == "BTC-USD"
    for text in ("", "**", "*a", "a b", "a" * 33):
        assert [name for name, _ in faults(asset_or_default, text)] == ["asset"]


def test_a_user_is_suspended_or_not() -> None:
    assert user_settings({"suspended": True}) is True
    assert user_settings({"suspended": False}) is False
    assert faults(user_settings, {}) == [("suspended", "Suspended is required")]
    assert faults(user_settings, {"suspended": "yes", "name": "x"}) == [
        ("suspended", "Suspended must be true or false"),
        ("name", "name is unknown"),
    ]


def query(text: str) -> Request:
    return Request(EnvironBuilder(query_string=text).get_environ())


def test_a_mass_cancel_names_its_user() -> None:
    assert mass_cancel(query("userId=user123")) == ("user123", None)
    assert mass_cancel(query("asset=BTC-USD&userId=user123")) == ("user123", "BTC-USD")
    assert faults(mass_cancel, query("")) == [("userId", "UserId is required")]
    assert faults(mass_cancel, query("userId=&status=OPEN")) == [
        ("userId", "UserId is required"),
        ("status", "status is unknown"),
    ]
    assert [name for name, _ in faults(mass_cancel, query("userId=a&asset=*"))] == ["asset"]
    assert [name for name, _ in faults(mass_cancel, query("userId=a&asset="))] == ["asset"]
    assert [name for name, _ in faults(mass_cancel, query("userId=a&userId=b"))] == ["userId"]


WORDS = [*OrderType, *TimeInForce, *SelfTradePrevention, *TradingStatus]
TEXTS = ["BUY", "BTC-USD", "0.1", "1e-8", "1e10", "12:30", "0001-01-01T00:00:00+01:00"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.decimals()  # NaN and the infinities too: that is how JSON is read
    | st.text(st.characters(), max_size=20)
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    | st.sampled_from([*map(str, WORDS), *TEXTS])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
OPTIONAL = ["orderType", "timeInForce", "selfTradePrevention", "clientOrderId"]
RULES = ["tickSize", "lotSize", "minQuantity", "maxQuantity", "minNotional", "minPrice"]
NAMES = [
    *WHO,
    *VALUES,
    *OPTIONAL,
    "suspended",
    *RULES,
    *("maxPrice", "bandPercent", "sessionEnd", "status"),
]
ANY_FIELDS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=8)
# Of the fields that an order has, so that it gets as far as the last rule.
ANY_ORDER = st.builds(
    lambda base, change: {**base, **change},
    st.sampled_from(GOOD),
    st.dictionaries(st.sampled_from([*VALUES, *OPTIONAL]), JSON | st.just(Decimal(1))),
)
ANY_RULES = st.dictionaries(
    st.sampled_from(RULES), st.decimals(0, 20, places=1) | JSON, max_size=len(RULES)
)
FUZZ = settings(derandomize=True, database=None, deadline=None, max_examples=300)


@FUZZ
@given(fields=ANY_FIELDS | ANY_ORDER | ANY_RULES)
def test_no_json_raises_anything_but_bad_input(fields: dict[str, Any]) -> None:
    calls: list[Callable[[Any], object]] = [order_terms, amendment, instrument_rules, user_settings]
    for call in calls:
        taken(call, fields)


@FUZZ
@given(text=st.text(st.characters(), max_size=40))
def test_no_path_and_no_query_raises_anything_but_bad_input(text: str) -> None:
    taken(asset_or_default, text)
    taken(mass_cancel, query(text.encode(errors="replace").decode()))
