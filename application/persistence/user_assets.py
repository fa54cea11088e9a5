"""The table of the assets in which users have orders, written with Matching's events.

A row names a user and an asset. A row without a user says that the asset has a book, and the
row without either that the table is complete: a database of an earlier release has none, until
an engine has filled it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg.sql import Composed, Identifier

from application.persistence.connection import living_connection
from application.persistence.recorder import EventRecorder
from application.persistence.retired import outdated_record
from application.persistence.unit_of_work import Call

Pair = tuple[str, str]  # a user and an asset

_NOBODY: Final = ""
COMPLETE: Final[Pair] = (_NOBODY, "")


def of_book(asset: str) -> Pair:
    """The row that says that an asset has a book."""
    return (_NOBODY, asset)


class Changes(NamedTuple):
    """Rows to insert, unless they are there, and rows to delete."""

    opened: Collection[Pair]
    closed: Collection[Pair]

    def __bool__(self) -> bool:
        return bool(self.opened or self.closed)


class Found(NamedTuple):
    """The assets of users; meaningless where the table is not complete."""

    is_complete: bool
    assets: Mapping[str, Collection[str]]


class MatchingRecorder(EventRecorder):
    """Named to the library by MATCHING_PROCESS_RECORDER_TOPIC."""

    def __init__(self, datastore: Any, **names: Any) -> None:
        super().__init__(datastore, **names)
        self.sql_create_statements += [self._of_table(text) for text in (_TABLE, *_FUNCTIONS)]
        record = Identifier(datastore.schema, f"{self.other_tables[0]}_record")
        self.sql_create_statements.append(outdated_record(record, f", {_ROWS}"))
        self._statements |= {
            name: self._of_table(text).as_string() for name, text in _STATEMENTS.items()
        }

    @property
    def other_tables(self) -> Sequence[str]:
        return (f"{self.events_table_name.removesuffix('_events')}_user_assets",)

    def change(self, changes: Changes) -> Call:
        """Return the call that changes rows, in the transaction of the events that did it."""
        arguments = (*_columns(changes.opened), *_columns(changes.closed))
        return Call(self._statements["change"], arguments)

    def select_user_assets(self, users: Collection[str]) -> Found:
        """The rows of users."""
        assets: dict[str, list[str]] = defaultdict(list)
        for user, asset in self._rows("user assets", users=list(users)):
            assets[user].append(asset)
        return Found(assets.pop(_NOBODY, None) is not None, assets)

    def has_all_user_assets(self) -> bool:
        """Test if the table is complete."""
        return self.select_user_assets(()).is_complete

    def select_assets(self) -> list[str]:
        """The assets that have books, where the table is complete."""
        return [asset for (asset,) in self._rows("assets")]

    def add_user_assets(self, pairs: Collection[Pair]) -> None:
        """Insert rows that may be there already, in a transaction of one statement."""
        with living_connection(self.datastore) as connection:
            connection.execute(self._statements["add"], _columns(pairs))

    def complete_user_assets(self) -> None:
        """Say that no row is missing."""
        self.add_user_assets([COMPLETE])

    @property
    def all_user_assets(self) -> Composed:
        """The statement that reads the whole table."""
        return self._of_table("SELECT user_id, asset FROM {user_assets}")

    def _of_table(self, text: str) -> Composed:
        schema, name = self.datastore.schema, self.events_table_name.removesuffix("_events")
        table = f"{name}_user_assets"
        return self._in_schema(
            text,
            user_assets=Identifier(schema, table),
            change=Identifier(schema, f"{table}_change"),
        )


def _columns(pairs: Collection[Pair]) -> tuple[str, str]:
    """Rows as two arrays, in one order: two that insert the same rows never wait in a ring.

    They are as PostgreSQL writes them, which takes less than to have psycopg write lists.
    """
    ordered = sorted(pairs)
    return _array(user for user, _ in ordered), _array(asset for _, asset in ordered)


def _array(texts: Iterable[str]) -> str:
    quoted = ['"' + text.replace("\\", r"\\").replace('"', r"\"") + '"' for text in texts]
    return f"{{{','.join(quoted)}}}"


# Rows come and go, so vacuum is as usual: the library turns it off for the tables of events.
_TABLE: Final = """CREATE TABLE IF NOT EXISTS {user_assets} (
        user_id text COLLATE "C" NOT NULL,
        asset text COLLATE "C" NOT NULL,
        PRIMARY KEY (user_id, asset)
    )"""

_ROWS: Final = (
    "opened_users text[], opened_assets text[], closed_users text[], closed_assets text[]"
)

_FUNCTIONS: Final = (
    # Row by row: without statistics, or with old ones, a join may read the whole table.
    """CREATE OR REPLACE FUNCTION {change}({rows}) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO {user_assets} SELECT * FROM unnest(opened_users, opened_assets)
            ON CONFLICT DO NOTHING;
        FOR place IN 1 .. cardinality(closed_users) LOOP
            DELETE FROM {user_assets}
            WHERE user_id = closed_users[place] AND asset = closed_assets[place];
        END LOOP;
    END $$""".replace("{rows}", _ROWS),
)

_STATEMENTS: Final = {
    "change": "{change}(%s::text[], %s::text[], %s::text[], %s::text[])",
    "user assets": """SELECT user_id, asset FROM {user_assets} WHERE user_id = ANY(%(users)s)
        UNION ALL SELECT user_id, asset FROM {user_assets} WHERE user_id = '' AND asset = ''""",
    "assets": "SELECT asset FROM {user_assets} WHERE user_id = '' AND asset > ''",
    "add": """INSERT INTO {user_assets} SELECT * FROM unnest(%s::text[], %s::text[])
        ON CONFLICT DO NOTHING""",
}
