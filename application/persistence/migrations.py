"""The version of the tables and functions in the database."""

from typing import Final

# The tables of the first release have no version stored: they count as version 1.
SCHEMA_VERSION: Final = 2


class SchemaOutdated(Exception):
    """The database belongs to another release than this process; nothing was changed."""
