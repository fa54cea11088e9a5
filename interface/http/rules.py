"""The rules of fields, one for each kind.

A rule is a function from a given value to ours. It raises ValueError, whose text
continues the field's name: "Price" + "must be greater than 0".
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

from domain.errors import InvalidAmount
from domain.values import UNITS_PER_ONE, to_units
from interface.http.parsing import number

_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_HOUR_MINUTE: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME_OF_DAY: Final = re.compile(_HOUR_MINUTE)
# Of all that ISO 8601 and datetime.fromisoformat know, what RFC 3339 does; and not more digits
# than a datetime holds: those behind would be cut off.
_DATE_TIME: Final = re.compile(
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_HOUR_MINUTE}:[0-9]{{2}}(?:\.[0-9]{{1,6}})?"
    rf"(?:Z|[+-]{_HOUR_MINUTE})"
)
_FIRST_YEAR: Final = 1970

Choice = TypeVar("Choice", bound=StrEnum)


def amount(value: object) -> int:
    """Return the units of a price or quantity, given as a number or a string of a JSON number."""
    if isinstance(value, str) and _JSON_NUMBER.fullmatch(value):
        value = number(value)
    if not isinstance(value, Decimal):
        raise InvalidAmount("must be a number")
    return to_units(value)


def count(value: object) -> int:
    """A whole number above 0, given as an amount may be."""
    units = amount(value)
    if units % UNITS_PER_ONE:
        raise InvalidAmount("must be a whole number")
    return units // UNITS_PER_ONE


def uuid(value: str) -> UUID:
    if not _UUID.fullmatch(value):
        raise ValueError("must be a UUID")
    return UUID(value)


def one_of(choices: type[Choice]) -> Callable[[Any], Choice]:
    by_value = {choice.value: choice for choice in choices}

    def rule(value: object) -> Choice:
        choice = by_value.get(value) if isinstance(value, str) else None
        if choice is not None:
            return choice
        raise ValueError(f"must be {either(choices)}")

    return rule


def either(names: Iterable[str]) -> str:
    """List names in a sentence, any one of which will do."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def some_of(choices: type[Choice]) -> Callable[[str], frozenset[Choice]]:
    """Make the rule of a list, as it stands in a query: names with commas between them."""
    one = one_of(choices)

    def rule(value: str) -> frozenset[Choice]:
        try:
            return frozenset(one(name) for name in value.split(","))
        except ValueError as error:
            raise ValueError(f"{error}, or several of them with commas between") from None

    return rule


def flag(value: str) -> bool:
    """A boolean, as it stands in a query."""
    if value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value == "true"


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - rules raise ValueError
    return value


def date_time(value: object) -> datetime:
    """A moment in UTC, given as a date and a time with its offset."""
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        raise ValueError(
            "must be a date and time with Z or an offset, to the microsecond at most,"
            " such as 2030-01-31T12:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date and time that exists") from None
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # in the year 0 or 10000, once it is in UTC
        moment = datetime.min.replace(tzinfo=UTC)
    if moment.year < _FIRST_YEAR:
        raise ValueError(f"must be in the years {_FIRST_YEAR} to 9999, in UTC")
    return moment


def time_of_day(value: object) -> int:
    """Return minutes after midnight."""
    if not isinstance(value, str) or not _TIME_OF_DAY.fullmatch(value):
        raise ValueError("must be a time of day, 00:00 to 23:59")
    hours, minutes = value.split(":")
    return 60 * int(hours) + int(minutes)


def whole(least: int, most: int) -> Callable[[str], int]:
    def rule(value: str) -> int:
        if not _WHOLE.fullmatch(value) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return rule


def _identifier(length: int, marks: str) -> Callable[[object], str]:
    pattern = re.compile(rf"[A-Za-z0-9][A-Za-z0-9{marks}]{{0,{length - 1}}}")

    def rule(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a string")  # noqa: TRY004 - rules raise ValueError
        if not pattern.fullmatch(value):
            raise ValueError(
                f"must be 1 to {length} of A-Z a-z 0-9 {marks}, beginning with a letter or digit"
            )
        return value

    return rule


user_identifier: Final = _identifier(64, "._:@-")
asset_identifier: Final = _identifier(32, "._:-")
