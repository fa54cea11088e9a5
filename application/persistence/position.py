"""A follower's position in its leader's log, moved by compare-and-set."""

from dataclasses import dataclass
from typing import Final

from eventsourcing.persistence import IntegrityError, Tracking


@dataclass(frozen=True)
class Advance(Tracking):
    """Moves a position to ``notification_id`` if it still stands at ``since`` (None: nowhere).

    The library's own check accepts any larger position, so of two followers that overlap
    both would pass, and one event would be applied twice.
    """

    since: int | None

    @property
    def arguments(self) -> tuple[str, int | None, int]:
        """What ADVANCE takes."""
        return self.application_name, self.since, self.notification_id


class PositionMoved(IntegrityError):
    """Somebody else has followed meanwhile: read the position again, and decide again."""


# What moves a position in a function of PostgreSQL whose parameters begin with ``leader``,
# ``since`` and ``upto``; {tracking} is the table.
ADVANCE: Final = """
        IF since IS NULL THEN
            INSERT INTO {tracking} VALUES (leader, upto) ON CONFLICT DO NOTHING;
        ELSE
            UPDATE {tracking} SET notification_id = upto
            WHERE application_name = leader AND notification_id = since;
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the position in % is not % any more', leader, since
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;"""
