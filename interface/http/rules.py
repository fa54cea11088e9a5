"""What each kind of field must be.

A rule is a function from what was given to its value. It raises ValueError, whose text
continues the field's name: "Price" + "must be greater than 0".
"""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

from domain.errors import InvalidAmount
from domain.values import to_units
from interface.http.parsing import number

_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE: Final = re.compile(r"[0-9]{1,19}")

Choice = TypeVar("Choice", bound=StrEnum)


def amount(value: object) -> int:
    """Units of a price or quantity, given as a number or as a string that is a JSON number."""
    if isinstance(value, str) and _JSON_NUMBER.fullmatch(value):
        value = number(value)
    if not isinstance(value, Decimal):
        raise InvalidAmount("must be a number")
    return to_units(value)


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
        *others, last = choices
        names = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"must be {names}")

    return rule


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
