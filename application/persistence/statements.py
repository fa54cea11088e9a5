"""The statements of EventRecorder; names in braces are those of its tables and functions."""

from typing import Final

from application.persistence.guards import (
    GUARD,
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
    "record": f"""SELECT {{record}}({_VERSION}, %s::text[], %s::bigint[], %s::bigint[],
        %s::timestamptz, %s::float8, %s, %s, %s, %s)""",
    "pass over": f"SELECT {{pass_over}}({_VERSION}, %s::text[], %s::bigint[], %s::bigint[])",
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
    "position": FLOOR.replace("{leader}", "%(leader)s"),
    # Both of one moment: all that came of what was followed is among what is recorded.
    "wake of follower": """SELECT pg_notify(%(channel)s,
        (SELECT max(notification_id) FROM {events}) || ':' || ({reach}))""".replace(
        "{reach}", REACH.replace("{leader}", "%(leader)s")
    ),
    "wake": "SELECT pg_notify(%(channel)s, %(message)s)",
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
    " ids uuid[], versions bigint[], topics text[], states bytea[]"
)

FUNCTIONS: Final = (
    *LOG_LOCK,
    # The position first: a follower that has been overtaken need not wait for the lock of the
    # log. That for the position is bounded as that for the log is.
    f"""CREATE OR REPLACE FUNCTION {{begin}}({_PARAMETERS}, {STAMP_PARAMETERS})
        RETURNS void LANGUAGE plpgsql SET lock_timeout = {{lock_timeout}} AS $$
    BEGIN {GUARD} {STAMP_GUARD}
        IF names IS NOT NULL THEN {ADVANCE}
        END IF; {LOCK}
    END $$""",
    # First comes the last id before these events, see Recorded: in a statement after the lock,
    # which therefore sees whatever was committed under it.
    """CREATE OR REPLACE FUNCTION {record}({parameters})
        RETURNS SETOF bigint LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM {begin}(version, names, since, upto, stamp, max_ahead);
        RETURN QUERY SELECT coalesce(max(notification_id), 0) FROM {events};
        RETURN QUERY
            INSERT INTO {events} (originator_id, originator_version, topic, state)
            SELECT * FROM unnest(ids, versions, topics, states)
            RETURNING notification_id;
    END $$""".replace("{parameters}", RECORD_PARAMETERS),
    # Over what led to no event. The commit does not wait for the disk: what a crash takes is
    # passed over again. Another that moves the position may hold its lock.
    f"""CREATE OR REPLACE FUNCTION {{pass_over}}({_PARAMETERS})
        RETURNS void LANGUAGE plpgsql SET lock_timeout = {{lock_timeout}} AS $$
    BEGIN {GUARD}
        PERFORM set_config('synchronous_commit', 'off', true); {ADVANCE}
    END $$""",
)
