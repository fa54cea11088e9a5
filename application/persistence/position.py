"""A follower's positions in its leader's log, moved by compare-and-set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import psycopg
from eventsourcing.persistence import IntegrityError, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from psycopg.sql import SQL, Composable, Identifier, Literal


class Move(NamedTuple):
    """A position, by the name under which it is kept, from where it was seen (None: nowhere)."""

    name: str
    since: int | None
    upto: int


@dataclass(frozen=True)
class Advance(Tracking):
    """A move of positions that are where they were seen: all of them, or none.

    The library's own check accepts any larger position, so of two followers that overlap
    both would pass, and one event would be applied twice.
    """

    moves: tuple[Move, ...]

    @classmethod
    def of(cls, leader: str, moves: Iterable[Move]) -> Self:
        """In the order of their names: two that move the same ones wait for each other once."""
        ordered = tuple(sorted(moves))
        return cls(leader, max(move.upto for move in ordered), ordered)

    @property
    def arguments(self) -> tuple[str, str, str]:
        """The arguments of ADVANCE: names, where the positions were seen, where they move to.

        Each is an array as PostgreSQL writes it: psycopg takes 5 us to write one of a list.
        """
        names = [f'"{move.name}"' for move in self.moves]
        since = ["NULL" if move.since is None else str(move.since) for move in self.moves]
        upto = [str(move.upto) for move in self.moves]
        return _array(names), _array(since), _array(upto)

    @property
    def of_whole_log(self) -> int | None:
        """The position in the whole log; None where only those of partitions move."""
        [name, *_] = (move.name for move in self.moves)
        return self.notification_id if name == self.application_name else None


def _array(elements: Iterable[str]) -> str:
    return f"{{{','.join(elements)}}}"


class PositionMoved(IntegrityError):
    """Another follower has moved the position: read it again, and decide again."""


# The parameters of functions of PostgreSQL that move positions, after the version.
ADVANCE_PARAMETERS: Final = "names text[], since bigint[], upto bigint[]"
# Such functions contain this statement.
ADVANCE: Final = "PERFORM {move}(names, since, upto);"

# A position is the newest of the rows under its name. Rows are inserted and deleted, never
# updated: while any snapshot is open, the versions that updates leave behind can't be removed,
# and each update, and each look, has to go past all of them (0.1 ms at first, 1 ms after 40 000).
# The newest row is found at the end of the index, where no old ones are. A move out of a block
# of positions deletes the rows of that block, each of which is there: none is looked at twice.
BLOCK: Final = 256
# A change of positions that is not a move takes this key alone; moves share it.
ALL_POSITIONS: Final = "hashtextextended('ome positions ' || {tracking_name}, 0)"
# The planner is kept from reading a small table whole: it would keep to that plan.
_MOVE: Final = (
    """CREATE OR REPLACE FUNCTION {move}({parameters})
        RETURNS void LANGUAGE plpgsql SET enable_seqscan TO off AS $$
    DECLARE
        newest bigint;
    BEGIN
        FOR place IN 1 .. cardinality(names) LOOP
            PERFORM pg_advisory_xact_lock_shared({all}), pg_advisory_xact_lock(
                hashtextextended('ome position ' || {tracking_name} || names[place], 0)
            );
            -- In a statement after the locks, which sees what was committed under them.
            INSERT INTO {tracking} SELECT names[place], upto[place] FROM {tracking}
                WHERE application_name = names[place] AND notification_id = since[place]
                AND since[place] < upto[place] AND NOT EXISTS (
                    SELECT FROM {tracking} newer WHERE newer.application_name = names[place]
                    AND newer.notification_id > since[place]
                );
            IF NOT FOUND THEN
                newest := (SELECT max(notification_id) FROM {tracking}
                    WHERE application_name = names[place]);
                -- The first has no position to move, and is not beside positions by partition,
                -- see partitions.split. Whoever moves to where they are need not.
                IF newest IS NULL AND since[place] IS NULL AND NOT EXISTS (
                    SELECT FROM {tracking} WHERE starts_with(application_name, names[place] || '#')
                ) THEN
                    INSERT INTO {tracking} VALUES (names[place], upto[place]);
                ELSIF newest = since[place] AND newest = upto[place] THEN
                    CONTINUE;
                ELSE
                    RAISE EXCEPTION 'the position in % is not % any more',
                        names[place], since[place] USING ERRCODE = 'integrity_constraint_violation';
                END IF;
            END IF;
            IF since[place] / {block} < upto[place] / {block} THEN
                DELETE FROM {tracking} WHERE application_name = names[place]
                AND notification_id >= since[place] / {block} * {block}
                AND notification_id < upto[place];
            END IF;
        END LOOP;
    END $$""".replace("{parameters}", ADVANCE_PARAMETERS)
    .replace("{all}", ALL_POSITIONS)
    .replace("{block}", str(BLOCK))
)
# In one snapshot, that of the statement that calls it.
_POSITIONS: Final = """CREATE OR REPLACE FUNCTION {positions}()
        RETURNS TABLE (name text, reached bigint) LANGUAGE plpgsql STABLE
        SET enable_seqscan TO off AS $$
    BEGIN
        SELECT application_name, notification_id INTO name, reached FROM {tracking}
            ORDER BY application_name DESC, notification_id DESC LIMIT 1;
        WHILE FOUND LOOP
            RETURN NEXT;
            SELECT application_name, notification_id INTO name, reached FROM {tracking}
                WHERE application_name < name
                ORDER BY application_name DESC, notification_id DESC LIMIT 1;
        END LOOP;
    END $$"""
POSITION_FUNCTIONS: Final = (_MOVE, _POSITIONS)

# The library's table has one row for each name, and is never vacuumed. Truncating would lock it.
POSITION_TABLE: Final = """DO $do$
    DECLARE
        single text := (
            SELECT conname FROM pg_constraint WHERE conrelid = {tracking_name}::regclass
            AND contype = 'p' AND cardinality(conkey) = 1
        );
    BEGIN
        IF single IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I,'
                ' ADD PRIMARY KEY (application_name, notification_id)', {tracking_name}, single);
            ALTER TABLE {tracking} SET (
                autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
                vacuum_truncate = off
            );
        END IF;
    END $do$"""
# The library's statement, which does not compare with where a position was seen.
_INSERT_TRACKING: Final = """INSERT INTO {tracking}
    SELECT %(application_name)s, %(notification_id)s WHERE NOT EXISTS (
        SELECT FROM {tracking} WHERE application_name = %(application_name)s
        AND notification_id >= %(notification_id)s
    ) ON CONFLICT DO NOTHING RETURNING notification_id"""


def position_names(schema: str, tracking_table: str) -> dict[str, Composable]:
    """The table of positions and its functions, for SQL.format."""
    table = Identifier(schema, tracking_table)
    return {
        "tracking": table,
        "tracking_name": Literal(table.as_string()),
        "move": Identifier(schema, f"{tracking_table}_move"),
        "positions": Identifier(schema, f"{tracking_table}_positions"),
    }


def keep_positions(recorder: PostgresTrackingRecorder) -> None:
    """Have a recorder of the library keep its positions in rows that are never updated."""
    names = position_names(recorder.datastore.schema, recorder.tracking_table_name)
    recorder.insert_tracking_statement = SQL(_INSERT_TRACKING).format(**names)
    recorder.sql_create_statements.extend(
        SQL(statement).format(**names) for statement in (POSITION_TABLE, *POSITION_FUNCTIONS)
    )


def lock_positions(connection: psycopg.Connection[Any], schema: str, tracking_table: str) -> None:
    """Keep everybody from moving positions until the transaction, which begins here, ends."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    lock = SQL("SELECT pg_advisory_xact_lock(" + ALL_POSITIONS + ")")
    connection.execute(lock.format(**position_names(schema, tracking_table)))
