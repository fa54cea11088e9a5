"""Errors in words for those who operate the market: no SQL, no stack trace."""

import re
from typing import Final

import psycopg

_LONGEST: Final = 200


def in_words(error: BaseException) -> str:
    """The first line; of PostgreSQL's errors its own sentence, without the statement and rows."""
    text = str(error).strip()
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error) and cause.sqlstate:
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(cause).__name__).lower()
            text = f"{cause.diag.message_primary or words} (SQLSTATE {cause.sqlstate})"
            break
        cause = cause.__cause__
    first, *_ = text.splitlines() or [""]
    shown = first if len(first) <= _LONGEST else f"{first[:_LONGEST]}…"
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__
