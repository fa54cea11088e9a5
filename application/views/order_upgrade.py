"""The upgrade of an order view that has followed the log of Orders alone, outcomes and all.

From version 4 on it takes outcomes from Matching's log, and needs a position there. If it has had
all outcomes of Orders' log, that is where the follower of Orders is. If not, it may have had a
part of those of one decision, so that no position is right: its tables are emptied, and it follows
both logs from their beginnings.
"""

from typing import Any, Final

from psycopg.sql import SQL, Identifier, Literal

from application.deciding import COMMANDS
from application.persistence.migrations import VERSIONS_TABLE, Part
from application.persistence.position import ALL_POSITIONS, position_names

_VERSION: Final = 4

_UPGRADE: Final = """DO $do$
    DECLARE
        shown bigint;
    BEGIN
        IF (SELECT max(version) FROM {versions}) >= {version} THEN
            RETURN;
        END IF;
        PERFORM pg_advisory_xact_lock({all_of_view});
        PERFORM pg_advisory_xact_lock({all_of_orders});
        IF EXISTS (
            SELECT FROM {positions_of_view}() WHERE split_part(name, '#', 1) = 'Matching'
        ) THEN
            RETURN;
        END IF;
        SELECT min(reached) INTO shown FROM {positions_of_view}()
            WHERE split_part(name, '#', 1) = 'Orders';
        IF EXISTS (
            SELECT FROM {events} WHERE notification_id > shown AND topic <> ALL({commands})
        ) THEN
            TRUNCATE {view}.orders, {view}.open_orders, {view}.periods, {view}.requests;
            DELETE FROM {view}.parked;
            DELETE FROM {tracking} WHERE split_part(application_name, '#', 1) = 'Orders';
        ELSIF shown IS NOT NULL THEN
            INSERT INTO {tracking} SELECT name, reached FROM {positions_of_orders}()
                WHERE split_part(name, '#', 1) = 'Matching';
        END IF;
    END $do$""".replace("{all_of_view}", ALL_POSITIONS).replace(
    "{all_of_orders}", ALL_POSITIONS.replace("{tracking_name}", "{tracking_of_orders}")
)


def second_leader(view: Any, orders: Any) -> Part:
    """Return what gives the order view a position in Matching's log, by the two recorders."""
    schema = orders.datastore.schema
    of_view = position_names(view.datastore.schema, view.tracking_table_name)
    of_orders = position_names(schema, orders.tracking_table_name)
    statement = SQL(_UPGRADE).format(
        versions=Identifier(schema, VERSIONS_TABLE),
        version=Literal(_VERSION),
        tracking=of_view["tracking"],
        tracking_name=of_view["tracking_name"],
        tracking_of_orders=of_orders["tracking_name"],
        positions_of_view=of_view["positions"],
        positions_of_orders=of_orders["positions"],
        events=Identifier(schema, orders.events_table_name),
        commands=Literal([each.TOPIC for each in COMMANDS]),
        view=Identifier(view.datastore.schema),
    )
    return Part(schema, (), {_VERSION: [statement]})
