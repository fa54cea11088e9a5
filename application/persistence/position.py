"""A follower's positions in its leader's log, moved by compare-and-set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from eventsourcing.persistence import IntegrityError, Tracking


class Move(NamedTuple):
    """A position, by the name under which it is kept, from where it was seen (None: nowhere)."""

    name: str
    since: int | None
    upto: int


@dataclass(frozen=True)
class Advance(Tracking):
    """Moves positions that stand where they were seen: all of them, or none.

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
    def arguments(self) -> tuple[list[str], list[int | None], list[int]]:
        """What ADVANCE takes."""
        names, since, upto = zip(*self.moves, strict=True)
        return list(names), list(since), list(upto)


class PositionMoved(IntegrityError):
    """Somebody else has followed meanwhile: read the position again, and decide again."""


# What moves positions in a function of PostgreSQL whose parameters begin with these; {tracking}
# is the table.
ADVANCE_PARAMETERS: Final = "names text[], since bigint[], upto bigint[]"
ADVANCE: Final = """
        FOR place IN 1 .. cardinality(names) LOOP
            IF since[place] IS NULL THEN
                -- Not beside positions by partition, see partitions.split.
                INSERT INTO {tracking} SELECT names[place], upto[place]
                WHERE NOT EXISTS (
                    SELECT FROM {tracking} WHERE starts_with(application_name, names[place] || '#')
                ) ON CONFLICT DO NOTHING;
            ELSE
                UPDATE {tracking} SET notification_id = upto[place]
                WHERE application_name = names[place] AND notification_id = since[place];
            END IF;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'the position in % is not % any more', names[place], since[place]
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
        END LOOP;"""
