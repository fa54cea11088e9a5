"""The statements of EventRecorder; names in braces are those of its tables and functions."""

from typing import Final

from application.persistence.guards import (
    GUARD,
    IDS_MOVED,
    STAMP_GUARD,
    STAMP_PARAMETERS,
    VERSION_PARAMETER,
)
from application.persistence.log_lock import LOCK, LOG_LOCK
from application.persistence.migrations import SCHEMA_VERSION
from application.persistence.partitions import FLOOR, REACH
from application.persistence.position import ADVANCE, ADVANCE_PARAMETERS

_VERSION: Final = str(SCHEMA_VERSION)

# Without statistics of a table, as when a hundred thousand events have just come, the planner
# takes few to match a topic, or an upper bound, and reads and sorts all the rest of the log
# (70 ms) instead of following the index (0.3 ms). It expects of array_position that nearly
# all match, and of a lower bound alone a third.
STATEMENTS: Final = {
    # Calls of functions, see unit_of_work.
    "record": f"""{{record}}({_VERSION}, %s::text[], %s::bigint[], %s::bigint[],
        %s::timestamptz, %s::float8, %s::bigint, %s, %s, %s, %s)""",
    "pass over": f"{{pass_over}}({_VERSION}, %s::text[], %s::bigint[], %s::bigint[])",
    "lock": "SELECT {lock}()",
    "events": """SELECT originator_id, originator_version, topic, state FROM {events}
        WHERE originator_id = %(id)s AND originator_version > %(gt)s
        AND originator_version <= %(lte)s ORDER BY originator_version LIMIT %(limit)s""",
    "events backwards": """SELECT originator_id, originator_version, topic, state FROM {events}
        WHERE originator_id = %(id)s AND originator_version > %(gt)s
        AND originator_version <= %(lte)s ORDER BY originator_version DESC LIMIT %(limit)s""",
    "notifications": """SELECT originator_id, originator_version, topic, state, notification_id
        FROM {events} WHERE notification_id > %(since)s
        ORDER BY notification_id LIMIT %(limit)s""",
    "notifications of": """SELECT originator_id, originator_version, topic, state, notification_id
        FROM {events} WHERE notification_id > %(since)s
        AND array_position(%(topics)s::text[], topic) IS NOT NULL
        ORDER BY notification_id LIMIT %(limit)s""",
    "last": "SELECT max(notification_id) FROM {events}",
    # What the sequence gives next, as long as nobody else draws from it.
    "next": """SELECT coalesce(last_value, start_value - 1) + 1 FROM pg_sequences
        WHERE format('%%I.%%I', schemaname, sequencename)
            = pg_get_serial_sequence({log}, 'notification_id')""",
    "position": FLOOR.replace("{leader}", "%(leader)s"),
    # Both of one moment: all that came of what was followed is among what is recorded.
    "wake of follower": """SELECT pg_notify(%(channel)s,
        (SELECT max(notification_id) FROM {events}) || ':' || ({reach}))""".replace(
        "{reach}", REACH.replace("{leader}", "%(leader)s")
    ),
    "ids": """SELECT notification_id FROM {events} WHERE notification_id > %(since)s
        ORDER BY notification_id LIMIT %(limit)s""",
    "ids of": """SELECT notification_id FROM {events} WHERE notification_id > %(since)s
        AND array_position(%(topics)s::text[], topic) IS NOT NULL
        ORDER BY notification_id LIMIT %(limit)s""",
    "trail": """SELECT originator_id, originator_version, topic, state, notification_id
        FROM {events} WHERE originator_id = ANY(%(ids)s) ORDER BY notification_id""",
    # In the order of the ids, and of each index: sorting would take all before the first comes.
    # An event that is not the next of its aggregate is noticed when it is applied.
    "after": """SELECT had.place, event.* FROM
        unnest(%(ids)s::uuid[], %(after)s::bigint[]) WITH ORDINALITY AS had (id, version, place),
        LATERAL (
            SELECT originator_version, topic, state FROM {events}
            WHERE originator_id = had.id
            AND originator_version > had.version AND originator_version <= %(upto)s
            ORDER BY originator_version
        ) AS event LIMIT %(limit)s""",
    "heads": """WITH RECURSIVE heads AS (
            (SELECT originator_id, originator_version FROM {events}
            ORDER BY originator_id DESC, originator_version DESC LIMIT 1)
            UNION ALL
            SELECT next.* FROM heads, LATERAL (
                SELECT originator_id, originator_version FROM {events}
                WHERE originator_id < heads.originator_id
                ORDER BY originator_id DESC, originator_version DESC LIMIT 1
            ) AS next
        )
        SELECT * FROM heads""",
    "head times": """WITH RECURSIVE heads AS (
            (SELECT originator_id, originator_version FROM {events}
            WHERE originator_id < %(below)s
            ORDER BY originator_id DESC, originator_version DESC LIMIT 1)
            UNION ALL
            SELECT next.* FROM heads, LATERAL (
                SELECT originator_id, originator_version FROM {events}
                WHERE originator_id < heads.originator_id
                ORDER BY originator_id DESC, originator_version DESC LIMIT 1
            ) AS next
        )
        SELECT originator_id, (
            SELECT (convert_from(state, 'UTF8')::json->>'timestamp')::timestamptz FROM {events} e
            WHERE e.originator_id = heads.originator_id
            AND e.originator_version = heads.originator_version
        ) FROM heads LIMIT %(limit)s""",
    "by ids": """SELECT originator_id, originator_version, topic, state, notification_id
        FROM {events} WHERE notification_id = ANY(%(ids)s) ORDER BY notification_id""",
    "taken": """SELECT originator_id, originator_version FROM {events}
        JOIN unnest(%(ids)s::uuid[], %(versions)s::bigint[])
            AS wanted (originator_id, originator_version)
        USING (originator_id, originator_version)""",
}

_PARAMETERS: Final = f"{VERSION_PARAMETER}, {ADVANCE_PARAMETERS}"
RECORD_PARAMETERS: Final = (
    f"{_PARAMETERS}, {STAMP_PARAMETERS},"
    " expected bigint, ids uuid[], versions bigint[], topics text[], states bytea[]"
)

FUNCTIONS: Final = (
    *LOG_LOCK,
    # The position first: a follower that has been overtaken need not wait for the lock of the
    # log. That for the position is bounded as that for the log is.
    #
    # A caller that has told others already which ids its events will have says what it expects the
    # first to be: it is another where a transaction that was undone has taken some.
    """CREATE OR REPLACE FUNCTION {record}({parameters})
        RETURNS bigint[] LANGUAGE plpgsql SET lock_timeout = {lock_timeout} AS $$
    DECLARE
        recorded bigint[];
        last bigint;
    BEGIN {guard} {stamp_guard}
        IF names IS NOT NULL THEN {advance}
        END IF;
        IF cardinality(ids) > 0 THEN {lock_log}
            WITH new AS (
                INSERT INTO {events} (originator_id, originator_version, topic, state)
                SELECT * FROM unnest(ids, versions, topics, states) RETURNING notification_id
            )
            SELECT array_agg(notification_id ORDER BY notification_id) INTO recorded FROM new;
            last := recorded[cardinality(ids)];
            IF expected <> recorded[1] OR last - expected <> cardinality(ids) - 1 THEN
                RAISE EXCEPTION 'the events get the ids % to %, and not those from % on',
                    recorded[1], last, expected USING ERRCODE = '{ids_moved}';
            END IF;
        END IF;
        RETURN recorded;
    END $$""".replace("{parameters}", RECORD_PARAMETERS)
    .replace("{guard}", GUARD)
    .replace("{stamp_guard}", STAMP_GUARD)
    .replace("{advance}", ADVANCE)
    .replace("{lock_log}", LOCK)
    .replace("{ids_moved}", IDS_MOVED),
    # Over what led to no event. The commit does not wait for the disk: what a crash takes is
    # passed over again. Another that moves the position may hold its lock.
    f"""CREATE OR REPLACE FUNCTION {{pass_over}}({_PARAMETERS})
        RETURNS void LANGUAGE plpgsql SET lock_timeout = {{lock_timeout}} AS $$
    BEGIN {GUARD}
        PERFORM set_config('synchronous_commit', 'off', true); {ADVANCE}
    END $$""",
)
