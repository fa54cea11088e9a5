"""Snapshots of books: the store that the library has for them, on PostgreSQL.

They save time, and nothing depends on them: if one is wrong, the events are replayed.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from eventsourcing.persistence import EventStore, StoredEvent
from eventsourcing.postgres import PostgresAggregateRecorder
from eventsourcing.utils import register_topic
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from application.persistence.migrations import SCHEMA_VERSION, Part, make, of_library
from domain.order_book import OrderBook

log = logging.getLogger(__name__)

# An aggregate registers the topics of its events by itself, that of its snapshot not.
register_topic(OrderBook.Snapshot.TOPIC, OrderBook.Snapshot)


class Kept(NamedTuple):
    """The newest snapshot of a book, without what it says."""

    version: int
    size: int  # bytes


class SnapshotRecorder(PostgresAggregateRecorder):
    """Snapshots in PostgreSQL's binary format, as one may be a hundred megabytes.

    Calls are not retried, as in EventRecorder.
    """

    def __init__(self, datastore: Any, **names: Any) -> None:
        super().__init__(datastore, **names)
        self._statements = {
            name: self._in_schema(text).as_string() for name, text in _STATEMENTS.items()
        }

    def part(self) -> Part:
        """Return the table of the snapshots."""
        own = [self._in_schema(_STORAGE), self._in_schema(_OUTDATED)]
        statements = [*of_library(self.sql_create_statements), *own]
        return Part(self.datastore.schema, (self.events_table_name,), {SCHEMA_VERSION: statements})

    def create_table(self) -> None:
        with self.datastore.get_connection() as connection:
            make(connection, self.part())

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> None:
        """One that is there already is replaced: who takes it again may have had a reason."""
        with self.datastore.get_connection() as connection:
            for stored in stored_events:
                connection.execute(
                    self._statements["insert"],
                    (
                        stored.originator_id,
                        stored.originator_version,
                        stored.topic,
                        stored.state,
                    ),
                )

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        rows = self._rows(
            "select descending" if desc else "select",
            id=originator_id,
            gt=gt,
            lte=lte,
            limit=limit,
        )
        return [StoredEvent(*row) for row in rows]

    def newest(self, ids: Sequence[UUID], upto: int | None) -> list[StoredEvent]:
        """The newest snapshots of these books, at or before the version ``upto``."""
        return [StoredEvent(*row) for row in self._rows("newest", ids=list(ids), upto=upto)]

    def kept(self) -> dict[UUID, Kept]:
        """The newest snapshot of every book that has one."""
        return {book: Kept(version, size) for book, version, size in self._rows("kept")}

    def versions(self, book: UUID) -> list[int]:
        """Of which versions of a book there are snapshots, the oldest first."""
        return [version for (version,) in self._rows("versions", id=book)]

    def delete(self, book: UUID, versions: Sequence[int]) -> None:
        with self.datastore.get_connection() as connection:
            connection.execute(self._statements["delete"], {"id": book, "versions": versions})

    def _rows(self, name: str, **parameters: Any) -> list[Any]:
        with self.datastore.get_connection() as connection:
            cursor = connection.cursor(binary=True, row_factory=tuple_row)
            return cursor.execute(self._statements[name], parameters).fetchall()

    def _in_schema(self, statement: str) -> Composed:
        table = Identifier(self.datastore.schema, self.events_table_name)
        return SQL(statement).format(snapshots=table, name=Literal(table.as_string()))


class BookSnapshots(EventStore[UUID]):
    """The library's store of snapshots, which also makes books of many at once."""

    recorder: SnapshotRecorder  # but one of the library's where all is in memory

    def restore(self, ids: Sequence[UUID], upto: int | None = None) -> dict[UUID, OrderBook]:
        """Those of the books that have a snapshot, as of the newest.

        ``upto``: as of the newest at or before this version. A snapshot that can't be read,
        which may be a later release's, is as good as none.
        """
        books: dict[UUID, OrderBook] = {}
        for stored in self._newest(ids, upto):
            try:
                snapshot: Any = self.mapper.to_domain_event(stored)
                books[snapshot.originator_id] = snapshot.mutate(None)
            except Exception:
                log.exception(
                    "a snapshot can't be read, its book is replayed",
                    extra={"book": stored.originator_id, "version": stored.originator_version},
                )
        return books

    def _newest(self, ids: Sequence[UUID], upto: int | None) -> Iterator[StoredEvent]:
        newest = getattr(self.recorder, "newest", None)
        if newest is not None:
            yield from newest(ids, upto)
            return
        for book in ids:  # a recorder in memory
            yield from self.recorder.select_events(book, lte=upto, desc=True, limit=1)


# The library sees to it that the tables of its events are never vacuumed; from this one rows
# are deleted. And not compressed: it saves a quarter, and takes four fifths of the writing.
# Once only: to alter a table is to wait for all who read it.
_STORAGE: Final = """DO $$
    BEGIN
        IF EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = {name}::regclass
            AND attname = 'state' AND attstorage <> 'e'
        ) THEN
            ALTER TABLE {snapshots} ALTER COLUMN state SET STORAGE EXTERNAL;
            ALTER TABLE {snapshots} RESET (
                autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor
            );
        END IF;
    END $$"""

# Snapshots of the first release did not know the last price, so stops would trigger otherwise.
_OUTDATED: Final = "DELETE FROM {snapshots} WHERE topic = 'book.snapshot'"

_SELECT: Final = """SELECT originator_id, originator_version, topic, state FROM {snapshots}
    WHERE originator_id = %(id)s
    AND (%(gt)s::bigint IS NULL OR originator_version > %(gt)s)
    AND (%(lte)s::bigint IS NULL OR originator_version <= %(lte)s)"""

_STATEMENTS: Final = {
    "insert": """INSERT INTO {snapshots} (originator_id, originator_version, topic, state)
        VALUES (%s, %s, %s, %b) ON CONFLICT (originator_id, originator_version)
        DO UPDATE SET topic = excluded.topic, state = excluded.state""",
    "select": f"{_SELECT} ORDER BY originator_version LIMIT %(limit)s",
    "select descending": f"{_SELECT} ORDER BY originator_version DESC LIMIT %(limit)s",
    "newest": """SELECT DISTINCT ON (originator_id) originator_id, originator_version, topic, state
        FROM {snapshots} WHERE originator_id = ANY(%(ids)s)
        AND (%(upto)s::bigint IS NULL OR originator_version <= %(upto)s)
        ORDER BY originator_id, originator_version DESC""",
    "kept": """SELECT DISTINCT ON (originator_id)
        originator_id, originator_version, octet_length(state) FROM {snapshots}
        ORDER BY originator_id, originator_version DESC""",
    "versions": """SELECT originator_version FROM {snapshots} WHERE originator_id = %(id)s
        ORDER BY originator_version""",
    "delete": """DELETE FROM {snapshots}
        WHERE originator_id = %(id)s AND originator_version = ANY(%(versions)s)""",
}
