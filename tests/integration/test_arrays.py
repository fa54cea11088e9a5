"""Events as PostgreSQL reads them from arrays in its binary format."""

from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent

from application.persistence.arrays import columns
from tests.integration.conftest import Venue

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [StoredEvent(FIRST, 1, "", b"")],
        [
            StoredEvent(LAST, 2**63 - 1, "order.placed", b"{}"),
            StoredEvent(FIRST, 0, "\u00e9", b"0"),
        ],
        [StoredEvent(FIRST, number, "x" * number, bytes(range(256))) for number in range(300)],
    ],
    ids=["none", "empty texts", "extremes", "many"],
)
def test_events_are_read_back_as_they_were_sent(venue: Venue, events: list[StoredEvent]) -> None:
    with venue.connect() as connection:
        rows = connection.execute(
            "SELECT * FROM unnest(%s, %s, %s, %s) AS event(id, version, topic, state)",
            columns(events),
        ).fetchall()
    assert [StoredEvent(*row.values()) for row in rows] == events
