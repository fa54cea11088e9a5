"""The tables of those who publish a log: where a publisher is, and what it has sent.

They are made whether there is a Kafka or not, so that nobody needs the right to make them later.
"""

from typing import Any, Final

from psycopg.sql import SQL, Identifier, Literal

from application.persistence.guards import GUARD, VERSION_PARAMETER
from application.persistence.migrations import SCHEMA_VERSION, Part
from application.persistence.position import (
    ADVANCE,
    ADVANCE_PARAMETERS,
    ALL_POSITIONS,
    BLOCK,
    POSITION_FUNCTIONS,
    POSITION_TABLE,
    position_names,
)
from application.persistence.retired import retired_advance
from application.persistence.schemas import beside, qualified

# In which every publisher has its tables, beside the market's own.
SCHEMA: Final = "publisher"

# The library makes this table for followers that have a recorder.
_TRACKING: Final = """CREATE TABLE IF NOT EXISTS {tracking} (
        application_name text PRIMARY KEY,
        notification_id bigint
    )"""
# A position belongs to topics, told apart by their ids: another topic of the same name, made
# anew or on another cluster, has nothing of what was sent.
_TABLES: Final = (
    # ``ends`` is what an earlier release has sent; later ones have it in ``sent``.
    """CREATE TABLE IF NOT EXISTS {schema}.destinations (
        leader text PRIMARY KEY,
        topics jsonb NOT NULL,
        ends jsonb NOT NULL
    )""",
    # A row for each position, as in the table of positions.
    """CREATE TABLE IF NOT EXISTS {schema}.sent (
        leader text,
        position bigint,
        ends jsonb NOT NULL,
        PRIMARY KEY (leader, position)
    ) WITH (
        autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
        vacuum_truncate = off
    )""",
)
# In a transaction that nobody who moves the position is in the middle of.
_ADOPT: Final = """CREATE OR REPLACE FUNCTION {adopt}({version}, whose text, wanted jsonb)
        RETURNS void LANGUAGE plpgsql AS $$
    BEGIN {guard}
        PERFORM pg_advisory_xact_lock({all});
        WITH adopted AS (
            INSERT INTO {schema}.destinations VALUES (whose, wanted, '{{}}')
            ON CONFLICT (leader) DO UPDATE SET topics = excluded.topics, ends = excluded.ends
            WHERE destinations.topics <> excluded.topics RETURNING leader
        ), forgotten AS (
            DELETE FROM {schema}.sent WHERE leader IN (SELECT leader FROM adopted)
        )
        DELETE FROM {tracking} WHERE application_name IN (SELECT leader FROM adopted);
    END $$""".replace("{guard}", GUARD).replace("{all}", ALL_POSITIONS)
# The commit does not wait for the disk: what a crash takes is sent again. That is also why
# NOTIFY may be inside. Nobody adopts other topics once the position is moved: see ``adopt``.
_ADVANCE: Final = (
    """CREATE OR REPLACE FUNCTION
        {advance}({parameters}, sent_to jsonb, sent jsonb, told text)
        RETURNS void LANGUAGE plpgsql SET enable_seqscan TO off AS $$
    BEGIN {guard}
        PERFORM set_config('synchronous_commit', 'off', true);
        {positions}
        IF NOT EXISTS (
            SELECT FROM {schema}.destinations WHERE leader = names[1] AND topics = sent_to
        ) THEN
            RAISE EXCEPTION 'it is published to other topics now'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        INSERT INTO {schema}.sent VALUES (names[1], upto[1], sent)
            ON CONFLICT (leader, position) DO UPDATE SET ends = excluded.ends;
        IF since[1] / {block} < upto[1] / {block} THEN
            DELETE FROM {schema}.sent WHERE leader = names[1]
            AND position >= since[1] / {block} * {block} AND position < upto[1];
        END IF;
        PERFORM pg_notify({channel}, told);
    END $$""".replace("{guard}", GUARD)
    .replace("{positions}", ADVANCE)
    .replace("{block}", str(BLOCK))
)


def publisher_part(market: str, leader: str) -> Part:
    """Return what a leader's publisher has, for the market of a schema."""
    schema, tracking = beside(market, SCHEMA), f"{leader.lower()}publisher_tracking"
    names = publisher_names(schema, tracking)
    texts = (_TRACKING, POSITION_TABLE, *POSITION_FUNCTIONS, *_TABLES, _ADOPT, _ADVANCE)
    statements = [SQL(text).format(**names) for text in texts]
    statements.append(retired_advance(schema, tracking))
    return Part(schema, (tracking, "destinations", "sent"), {SCHEMA_VERSION: statements})


def publisher_names(schema: str, tracking: str) -> dict[str, Any]:
    """Return what the names in braces stand for in statements about a publisher."""
    return {
        "schema": Identifier(schema),
        **position_names(schema, tracking),
        "advance": Identifier(schema, f"{tracking}_advance"),
        "adopt": Identifier(schema, f"{tracking}_adopt"),
        "version": SQL(VERSION_PARAMETER),
        "channel": Literal(qualified(schema, tracking)),
        "parameters": SQL(f"{VERSION_PARAMETER}, {ADVANCE_PARAMETERS}"),
    }
