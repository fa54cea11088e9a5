"""The lock that serializes the transactions that write one log.

Ids are drawn, and transactions committed, in one order: a reader of the log never passes over a
gap that is filled later. It is an advisory lock, because a lock on the table that excludes other
writers would also exclude VACUUM, ANALYZE and CREATE INDEX CONCURRENTLY, and wait for them.
"""

from typing import Final

# The key, of 64 bits; {log} is the log's qualified name as a literal.
_KEY: Final = "hashtextextended('ome log ' || {log}, 0)"

# Writers of earlier releases, and of the library, lock the table in EXCLUSIVE mode. A lock on
# the table that conflicts with theirs comes first, as it does in theirs: the two kinds of
# writers exclude each other, and can't deadlock. It conflicts with no maintenance.
LOCK: Final = f"""
        LOCK TABLE {{events}} IN ROW EXCLUSIVE MODE;
        PERFORM pg_advisory_xact_lock({_KEY});"""
_LOCK_FUNCTION: Final = f"""CREATE OR REPLACE FUNCTION {{lock}}()
        RETURNS void LANGUAGE plpgsql SET lock_timeout = {{lock_timeout}} AS $$
    BEGIN {LOCK}
    END $$"""

# It fires before the first row of a statement, and so before its id is drawn: every writer of the
# log has the lock, and its commit waits for the disk. A stronger setting than ON is kept.
_TRIGGER_FUNCTION: Final = f"""CREATE OR REPLACE FUNCTION {{lock_trigger}}()
        RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock({_KEY});
        IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
            PERFORM set_config('synchronous_commit', 'on', true);
        END IF;
        RETURN NULL;
    END $$"""
# It is made only if it is missing, as that waits for all writers, and for maintenance.
_TRIGGER: Final = """DO $$ BEGIN
        IF NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgrelid = {log}::regclass AND tgname = 'ome_log_lock'
        ) THEN
            CREATE TRIGGER ome_log_lock BEFORE INSERT ON {events}
                FOR EACH STATEMENT EXECUTE FUNCTION {lock_trigger}();
        END IF;
    END $$"""

LOG_LOCK: Final = (_LOCK_FUNCTION, _TRIGGER_FUNCTION, _TRIGGER)
