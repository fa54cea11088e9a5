"""Lists in pages: the length of a page, and the cursor of the next one."""

from collections.abc import Callable
from typing import Final, TypeVar

from interface.http.fields import Fields
from interface.http.rules import whole

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000

Row = TypeVar("Row")


def page_limit(fields: Fields) -> int:
    """Take how many entries a page has at most."""
    return fields.optional("limit", whole(1, MAX_LIMIT)) or DEFAULT_LIMIT


def page(rows: list[Row], limit: int, cursor: Callable[[Row], str]) -> tuple[list[Row], str | None]:
    """Return a page, and the cursor of the next one where a row more than that was found."""
    return rows[:limit], cursor(rows[limit - 1]) if len(rows) > limit else None
