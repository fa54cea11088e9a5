"""Waiting until everything that was placed is matched, recorded, and shown by every view."""

import time
from collections.abc import Callable
from typing import Final

import psycopg

_POLL_SECONDS = 0.01

# Everything that the order at %(position)s and those before it caused is shown by all views. The
# order view takes outcomes from Matching's log, or, as the raw pipeline's, from that of Orders.
_VISIBLE: Final = """
    WITH log AS (SELECT (SELECT max(notification_id) FROM matching_events) AS decided,
                        (SELECT max(notification_id) FROM orders_events) AS recorded,
                        EXISTS (SELECT FROM order_view.orderview_tracking
                            WHERE split_part(application_name, '#', 1) = 'Matching') AS of_both),
    mark (follower, leader, needed) AS (
        SELECT mark.* FROM log, LATERAL (VALUES
            ('matching', 'Orders', %(position)s), ('orders', 'Matching', decided),
            ('order_view', CASE WHEN of_both THEN 'Matching' ELSE 'Orders' END,
                CASE WHEN of_both THEN decided ELSE recorded END),
            ('book_view', 'Matching', decided),
            ('trade_view', 'Matching', decided)) AS mark),
    position (follower, part, reached) AS (
        SELECT 'matching', application_name, max(notification_id)
            FROM matching_tracking GROUP BY 2
        UNION ALL SELECT 'orders', application_name, max(notification_id)
            FROM orders_tracking GROUP BY 2
        UNION ALL SELECT 'order_view', application_name, max(notification_id)
            FROM order_view.orderview_tracking GROUP BY 2
        UNION ALL SELECT 'book_view', application_name, max(notification_id)
            FROM book_view.bookview_tracking GROUP BY 2
        UNION ALL SELECT 'trade_view', application_name, max(notification_id)
            FROM trade_view.tradeview_tracking GROUP BY 2)
    SELECT bool_and(coalesce(reached >= needed, false))
    FROM mark LEFT JOIN position
    ON mark.follower = position.follower AND split_part(part, '#', 1) = leader"""

# The first of these to happen, and the cheapest to ask for: who waits takes little meanwhile.
_DECIDED: Final = """
    SELECT min(reached) >= %(position)s FROM (
        SELECT max(notification_id) AS reached FROM matching_tracking
        WHERE split_part(application_name, '#', 1) = 'Orders' GROUP BY application_name
    ) AS parts"""

_LAST_COMMAND: Final = """
    SELECT max(notification_id) FROM orders_events
    WHERE topic = 'order.placed' OR topic LIKE 'request.%'"""


def until_visible(
    connection: psycopg.Connection,
    position: int,
    check: Callable[[], None],
    seconds: float = 300,
) -> float:
    """The moment (of the monotonic clock) at which all up to ``position`` was visible.

    ``check`` is called meanwhile, to raise where waiting makes no sense. Raises TimeoutError.
    """
    deadline = time.monotonic() + seconds
    for question in (_DECIDED, _VISIBLE):
        while not _holds(connection, question, position):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not everything is visible after {seconds} s")
            check()
            time.sleep(_POLL_SECONDS)
    return time.monotonic()


def _holds(connection: psycopg.Connection, question: str, position: int) -> bool:
    row = connection.execute(question, {"position": position}).fetchone()
    return row is not None and bool(row[0])


def last_command(connection: psycopg.Connection) -> int:
    """The place of the last command in the log of Orders."""
    row = connection.execute(_LAST_COMMAND).fetchone()
    assert row is not None
    position: int = row[0]
    return position
