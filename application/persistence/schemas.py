"""The schemas of a market, and the names that carry them.

Several markets may share a database, each in schemas of its own: that of its logs, and beside it
one for each view and one for the publishers. Objects of the whole database, such as advisory
locks and channels, have the schema in their names.
"""

from collections.abc import Mapping
from hashlib import md5
from typing import Final

PUBLIC: Final = "public"
SETTING: Final = "DATABASE_SCHEMA"

# A name of PostgreSQL has 63 bytes; the longest that begins with the schema's ends with this.
_NAME_BYTES: Final = 63
MAX_BYTES: Final = _NAME_BYTES - len("_order_view_new")
_BESIDE: Final = ("order_view", "book_view", "trade_view", "publisher")
_REPLACED: Final = ("", "_new", "_old")  # see views.rebuild


def schema_of(env: Mapping[str, str]) -> str:
    """Return the schema of the market's logs."""
    return env.get(SETTING) or PUBLIC


def beside(schema: str, name: str) -> str:
    """Return the schema of a part of the market whose logs are in ``schema``."""
    return name if schema == PUBLIC else f"{schema}_{name}"


def qualified(schema: str, name: str) -> str:
    """Return a name that no other schema has: of a channel, or of work that one does at a time."""
    full = name if schema == PUBLIC else f"{schema}.{name}"
    return full if len(full.encode()) <= _NAME_BYTES else f"ome_{_digest(full)}"


def check_schema(schema: str) -> str:
    """Return the name if a market can live in it, or raise ValueError with the rule."""
    if not schema.strip() or len(schema.encode()) > MAX_BYTES or not schema.isprintable():
        raise ValueError(
            f"must be the name of a schema, of 1 to {MAX_BYTES} bytes:"
            " those of the views and the publisher begin with it"
        )
    if f"{schema}_".startswith("pg_") or schema == "information_schema":
        raise ValueError("must not be a schema of PostgreSQL's own, nor pg")
    if set(schema) & set("%$"):
        # Statements have the first in their placeholders, bodies of functions end at the second.
        raise ValueError("must not contain % or $")
    if schema.endswith(tuple(name + end for name in _BESIDE for end in _REPLACED)):
        raise ValueError(
            f"must not end in {', '.join(_BESIDE)}, with or without _new or _old: those are"
            " schemas that a market makes beside its own"
        )
    return schema


def _digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
