"""JSON at the edge: the body of a request as a dictionary, or exactly what is wrong with it.

Every number becomes a ``Decimal``, also NaN and the infinities, which some clients write and
which no amount accepts: so it is the field that is told to be wrong, not the document.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from json import JSONDecodeError, JSONDecoder
from typing import Any, Final

from flask import Request

from interface.http.problems import BadInput, Fault, Problem

_JSON: Final = "application/json"
_CHARSETS: Final = frozenset({"", "utf-8", "utf8"})
_NAME_LENGTH: Final = 64  # of a field's name, where we repeat it
_EXPONENT: Final = re.compile(r"[eE]([+-]?)[0-9]+")


class DuplicateKey(ValueError):
    """An object has two fields of one name, of which nobody can say which is meant."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{printable(name)} is given more than once")
        self.name = name


def json_object(request: Request) -> dict[str, Any]:
    """The fields of the JSON object that is the body of a request.

    Raises Problem 415, and BadInput for what is not a JSON object in UTF-8.
    """
    check_content_type(request)
    return parse_object(request.environ["wsgi.input"].read())


def check_content_type(request: Request) -> None:
    if request.content_type == _JSON:  # what nearly everybody sends needs no parsing
        return
    charset = request.mimetype_params.get("charset", "").lower()
    if request.mimetype != _JSON or charset not in _CHARSETS:
        raise Problem(415, "The body must be application/json, in UTF-8")


def parse_object(body: bytes) -> dict[str, Any]:
    """Read JSON. Raises BadInput, which says where the fault is."""
    try:
        value = _decoder().decode(body.decode())
    except UnicodeDecodeError as error:
        raise BadInput(detail=f"The body is not UTF-8: byte {error.start}") from None
    except JSONDecodeError as error:
        raise BadInput(detail=f"The body is not JSON: {error}") from None
    except DuplicateKey as error:
        raise BadInput(Fault(printable(error.name), str(error))) from None
    except RecursionError:
        raise BadInput(detail="The body is nested too deeply") from None
    if not isinstance(value, dict):
        raise BadInput(detail="The body must be a JSON object")
    return value


def printable(name: str) -> str:
    """A name that a client sent, fit to be repeated: short, and no half of a surrogate pair."""
    return name[:_NAME_LENGTH].encode(errors="backslashreplace").decode()


@cache
def _decoder() -> JSONDecoder:
    return JSONDecoder(
        object_pairs_hook=_object, parse_int=number, parse_float=number, parse_constant=Decimal
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise DuplicateKey(name)
            seen.add(name)
    return fields


def number(text: str) -> Decimal:
    """The number that a text in JSON's grammar of numbers says, or one as far out of range."""
    try:
        return Decimal(text)
    except InvalidOperation:
        # An exponent of 19 digits or more. One of nine is as far out of every range, and
        # no body is long enough for its digits to make up for it.
        return Decimal(_EXPONENT.sub(r"e\g<1>999999999", text))
