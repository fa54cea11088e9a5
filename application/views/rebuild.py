"""Building a view anew from the events, beside the living one, and swapping the two."""

from collections.abc import Callable
from contextlib import closing
from uuid import UUID

from eventsourcing.application import Application
from psycopg.sql import SQL, Identifier

from application.persistence.connection import connect
from application.persistence.tables import alone
from application.views.view import View


def rebuild(
    view_class: type[View],
    leader: Application[UUID],
    progress: Callable[[int], None],
) -> None:
    """Replaces a view's schema by one made from all of the leader's events.

    The living view goes on meanwhile, and whoever reads it notices nothing: it stands
    still only for the last events and the renaming. Its follower then finds the position
    moved, and goes on from there. What a rebuild that was killed left is dropped by the next.

    It is the leader's database. Raises Busy where this view is being rebuilt already.
    """
    env = leader.env
    schema = view_class.env["POSTGRES_SCHEMA"]
    new, old = f"{schema}_new", f"{schema}_old"
    with alone(env, f"rebuild {schema}", wait=False), connect(env) as connection:
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(new)))
        own_env = {**env, "POSTGRES_SCHEMA": new, "CREATE_TABLE": "y"}
        with closing(view_class(own_env)) as view:
            view.follow(leader.name, leader.notification_log)
            _catch_up(view, leader.name, progress)
            tracking = Identifier(schema, view.recorder.tracking_table_name)
            with connection.transaction():
                # The position comes first in a view's transactions: who holds this lock
                # has the living view between two batches.
                connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(tracking))
                _catch_up(view, leader.name, progress)
                for before, after in ((schema, old), (new, schema)):
                    connection.execute(
                        SQL("ALTER SCHEMA {} RENAME TO {}").format(
                            Identifier(before), Identifier(after)
                        )
                    )
                connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(old)))


def _catch_up(view: View, leader_name: str, progress: Callable[[int], None]) -> None:
    while done := view.process_batch(leader_name):
        progress(done)
