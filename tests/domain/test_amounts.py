"""Prices and quantities: exact at both ends, and every rule says what it is."""

import time
from decimal import ROUND_HALF_EVEN, Context, Decimal, getcontext, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidAmount
from domain.values import MAX_AMOUNT, UNITS_PER_ONE, average_price, format_units, to_units
from tests.domain.support import deterministic

LARGEST = MAX_AMOUNT * UNITS_PER_ONE

NOT_A_NUMBER = "must be a number"
NOT_POSITIVE = "must be greater than 0"
TOO_FINE = "must have at most 8 decimal places"
TOO_LARGE = "must be at most 10000000000"

valid_units = st.integers(1, LARGEST) | st.integers(1, 1_000) | st.integers(LARGEST - 99, LARGEST)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1", 100_000_000),
        ("45000", 4_500_000_000_000),
        ("1.5", 150_000_000),
        ("0.1", 10_000_000),
        ("0.00000001", 1),
        ("1E-8", 1),
        ("123.45678901", 12_345_678_901),
        ("10000000000", LARGEST),
        ("9999999999.99999999", LARGEST - 1),
        ("1E+10", LARGEST),
        ("0.1E11", LARGEST),
        ("+1", 100_000_000),
        ("007", 700_000_000),
    ],
)
def test_an_amount_is_its_units_exactly(text: str, units: int) -> None:
    assert to_units(Decimal(text)) == units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0.100000000", 10_000_000),
        ("1.0000000000000000000000000000000000000", 100_000_000),
        ("10000000000.000000000000000000000000000", LARGEST),
        ("0.0000000100", 1),
        ("1.50E+3", 150_000_000_000),
        ("1." + "0" * 400, 100_000_000),
        ("1" + "0" * 400 + "E-400", 100_000_000),
        ("0." + "0" * 7 + "1" + "0" * 400, 1),
        ("0" * 400 + "1", 100_000_000),
    ],
)
def test_value_counts_and_not_spelling(text: str, units: int) -> None:
    assert to_units(Decimal(text)) == units


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("NaN", NOT_A_NUMBER),
        ("-NaN", NOT_A_NUMBER),
        ("NaN123", NOT_A_NUMBER),
        ("sNaN", NOT_A_NUMBER),
        ("Infinity", NOT_A_NUMBER),
        ("-Infinity", NOT_A_NUMBER),
        ("0", NOT_POSITIVE),
        ("-0", NOT_POSITIVE),
        ("0.000000000000", NOT_POSITIVE),
        ("0E+9999999", NOT_POSITIVE),
        ("-0E-9999999", NOT_POSITIVE),
        ("-1", NOT_POSITIVE),
        ("-0.000000001", NOT_POSITIVE),
        ("-1E+9999999", NOT_POSITIVE),
        ("-1E-9999999", NOT_POSITIVE),
        ("0.000000001", TOO_FINE),
        ("0.000000019", TOO_FINE),
        ("1.000000001", TOO_FINE),
        ("9999999999.999999999", TOO_FINE),
        ("1E-9", TOO_FINE),
        ("1E-9999999", TOO_FINE),
        ("0." + "3" * 400, TOO_FINE),
        ("10000000000.00000001", TOO_LARGE),
        ("10000000001", TOO_LARGE),
        ("99999999999", TOO_LARGE),
        ("100000000000", TOO_LARGE),
        ("1E+11", TOO_LARGE),
        ("1E+9999999", TOO_LARGE),
        ("9" * 400, TOO_LARGE),
        ("9" * 400 + "E+9999", TOO_LARGE),
        ("9" * 400 + ".5", TOO_LARGE),
    ],
)
def test_an_amount_that_no_order_can_have_is_refused_with_the_rule(text: str, rule: str) -> None:
    with pytest.raises(InvalidAmount) as refused:
        to_units(Decimal(text))
    assert str(refused.value) == rule


@pytest.mark.parametrize(
    "text",
    ["1E+9999999", "-1E+9999999", "1E-9999999", "0E+9999999", "9" * 400, "1" + "0" * 100_000],
)
def test_monstrous_numbers_are_refused_in_no_time(text: str) -> None:
    amount = Decimal(text)
    start = time.perf_counter()
    with pytest.raises(InvalidAmount):
        to_units(amount)
    assert time.perf_counter() - start < 1


@given(valid_units)
@settings(deterministic, max_examples=500)
def test_what_is_written_reads_back_as_it_was(units: int) -> None:
    assert to_units(Decimal(format_units(units))) == units


@given(valid_units, st.integers(0, 30), st.integers(0, 9))
@settings(deterministic, max_examples=300)
def test_more_zeros_and_other_exponents_change_nothing(units: int, zeros: int, shift: int) -> None:
    spelled = f"{units * 10**shift}{'0' * zeros}E-{8 + shift + zeros}"
    assert to_units(Decimal(spelled)) == units


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.decimals(-1, 10**11, places=9))
@settings(deterministic, max_examples=500)
def test_any_decimal_is_either_exact_or_refused(amount: Decimal) -> None:
    try:
        units = to_units(amount)
    except InvalidAmount:
        assert not _is_valid(amount)
    else:
        assert _is_valid(amount)
        assert Decimal(units).scaleb(-8, _exact()) == amount


def _is_valid(amount: Decimal) -> bool:
    if not amount.is_finite() or not 0 < amount <= MAX_AMOUNT:
        return False
    with localcontext(_exact()):
        return amount.quantize(Decimal("1E-8")) == amount


def _exact() -> Context:
    return Context(prec=2_000, Emax=10**6, Emin=-(10**6))


def test_the_precision_that_a_caller_set_does_not_matter() -> None:
    with localcontext() as context:
        context.prec = 3
        assert to_units(Decimal("9999999999.99999999")) == LARGEST - 1
    assert getcontext().prec == 28


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (0, "0"),
        (1, "0.00000001"),
        (10, "0.0000001"),
        (10_000_000, "0.1"),
        (99_999_999, "0.99999999"),
        (100_000_000, "1"),
        (100_000_001, "1.00000001"),
        (150_000_000, "1.5"),
        (100_000_000_000, "1000"),
        (4_500_000_000_000, "45000"),
        (LARGEST, "10000000000"),
        (LARGEST**2, "10000000000000000000000000000"),
    ],
)
def test_amounts_are_written_without_exponent_and_without_trailing_zeros(
    units: int, text: str
) -> None:
    assert format_units(units) == text


@given(st.integers(0, LARGEST**2))
@settings(deterministic, max_examples=500)
def test_what_is_written_is_canonical(units: int) -> None:
    text = format_units(units)
    with localcontext(_exact()):
        assert Decimal(text) == Decimal(units).scaleb(-8)
    whole, point, part = text.partition(".")
    assert whole == "0" or whole[0] != "0"
    assert whole.isdigit()
    if point:
        assert part.isdigit()
        assert len(part) <= 8
        assert part[-1] != "0"


# Average prices.


def test_nothing_filled_has_no_average() -> None:
    assert average_price(0, 0) is None


@pytest.mark.parametrize(
    ("notional", "quantity", "average"),
    [
        (100, 1, 100),
        (300, 3, 100),
        (1, 2, 0),  # 0.5: to even, down
        (3, 2, 2),  # 1.5: to even, up
        (5, 2, 2),  # 2.5: to even, down
        (7, 2, 4),  # 3.5: to even, up
        (1, 3, 0),
        (2, 3, 1),
        (4, 3, 1),
        (5, 3, 2),
        (999, 1_000, 1),
        (1_499, 1_000, 1),
        (1_500, 1_000, 2),
        (2_500, 1_000, 2),
        (2_501, 1_000, 3),
        (LARGEST * LARGEST, LARGEST, LARGEST),
        (LARGEST * LARGEST - 1, LARGEST, LARGEST),
    ],
)
def test_an_average_is_rounded_half_even(notional: int, quantity: int, average: int) -> None:
    assert average_price(notional, quantity) == average
    assert type(average_price(notional, quantity)) is int


@given(
    st.integers(0, LARGEST**2) | st.integers(0, 50),
    st.integers(1, LARGEST) | st.integers(1, 12),
)
@settings(deterministic, max_examples=500)
def test_an_average_is_what_exact_decimals_say(notional: int, quantity: int) -> None:
    with localcontext(_exact()):
        exact = (Decimal(notional) / quantity).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert average_price(notional, quantity) == exact
