"""Building a view anew from the events, beside the living one, and swapping the two."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from psycopg.sql import SQL, Identifier

from application.persistence.connection import connect
from application.persistence.locks import alone
from application.persistence.position import lock_positions
from application.persistence.schemas import beside, schema_of
from application.views.ownership import check_may_replace, take_over
from application.views.view import View

_NEW, _OLD = "_new", "_old"
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '100ms'"  # nobody waits behind us for longer
_PAUSE_SECONDS = 0.5
_BATCH = 4_000  # events: more are hardly quicker, and who serves has to share the disk

Progress = Callable[[int], None]  # told how many events were done
Fill = Callable[[View, str, Progress], None]  # fills a view with what there is of a leader's log


def nothing(_view: View, _leader_name: str, _progress: Progress) -> None:
    """All comes from the leaders."""


def rebuild(
    view_class: type[View],
    leaders: Sequence[Application[UUID]],
    progress: Progress,
    fill: Fill = nothing,
) -> None:
    """Replace a view's schema by one made from all of the leaders' events.

    ``leaders``: in the order in which the view reads their logs. ``fill`` may bring events from
    elsewhere; the leaders have the rest.

    The living view goes on meanwhile, and its readers notice nothing: it stands still only for
    the last events and the renaming. Its follower then finds the position moved, and goes on
    from there. A rebuild drops the remains of one that was killed.

    Owners and rights stay as they are. It is the leaders' database.

    Raises Busy where this view is being rebuilt already, and SchemaUnusable where the role may not.
    """
    env = leaders[0].env
    name = view_class.env["POSTGRES_SCHEMA"]
    schema = beside(schema_of(env), name)
    with alone(env, f"rebuild {name}", wait=False), connect(env) as connection:
        check_may_replace(connection, schema)
        for left_over in (schema + _NEW, schema + _OLD):
            while not _drop(connection, left_over):
                time.sleep(_PAUSE_SECONDS)
        own_env = {**env, "POSTGRES_SCHEMA": schema + _NEW, "CREATE_TABLE": "y"}
        with closing(view_class(own_env)) as view:
            for leader in leaders:
                view.follow(leader.name, leader.notification_log)
            for leader in leaders:
                fill(view, leader.name, progress)
            _catch_up(view, progress)
            while not _swap(connection, view, progress):
                time.sleep(_PAUSE_SECONDS)  # let those through who waited behind us
                _catch_up(view, progress)
        while not _drop(connection, schema + _OLD):
            time.sleep(_PAUSE_SECONDS)


def _swap(connection: psycopg.Connection[Any], view: View, progress: Progress) -> bool:
    """Put the new schema in the old one's place; False: a long batch is in the way."""
    schema = view.env["POSTGRES_SCHEMA"].removesuffix(_NEW)
    try:
        with connection.transaction():
            connection.execute(_LOCK_TIMEOUT)
            # The position comes first in a view's transactions: this lock keeps the living view
            # between two batches. Readers are not hindered, nor is maintenance.
            lock_positions(connection, schema, view.recorder.tracking_table_name)
            _catch_up(view, progress)
            for before, after in ((schema, schema + _OLD), (schema + _NEW, schema)):
                connection.execute(
                    SQL("ALTER SCHEMA {} RENAME TO {}").format(
                        Identifier(before), Identifier(after)
                    )
                )
            for function in view.recorder.functions(schema):  # they name the schema
                connection.execute(function)
            take_over(connection, schema + _OLD, schema)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _drop(connection: psycopg.Connection[Any], schema: str) -> bool:
    """Drop a schema; False: its tables are still being read, or vacuumed."""
    try:
        with connection.transaction():
            connection.execute(_LOCK_TIMEOUT)
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _catch_up(view: View, progress: Progress) -> None:
    while done := view.process_batch(*view.readers, limit=_BATCH):
        progress(done)
