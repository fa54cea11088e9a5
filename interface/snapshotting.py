"""The process that takes snapshots: looks every few seconds, one process at a time."""

import logging
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Final, NoReturn

import psycopg

from application.matching import Matching
from application.persistence.connection import AWAY
from application.persistence.error_words import in_words
from application.persistence.locks import Busy, alone
from application.persistence.migrations import SchemaOutdated
from application.persistence.standstills import Standstills, WorkerState
from application.snapshots import SnapshotTaker
from application.user_assets_backfill import UserAssetsBackfill
from system import build_alone

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0


def take_snapshots(env: Mapping[str, str], every: int) -> NoReturn:
    """Take the snapshots that are due, for ever; stand by while another process does.

    If PostgreSQL ends the session that holds the lock, two may do the same for a while: the
    snapshots of both are right.
    """
    with closing(build_alone(env, Matching)) as matching:
        taker = SnapshotTaker(matching, every)
        state = WorkerState(Standstills(matching.recorder.datastore), "snapshots")
        while True:
            try:
                with alone(env, "take snapshots", wait=False):
                    UserAssetsBackfill(matching).fill()
                    log.info("taking snapshots")
                    while True:
                        taker.take_due()
                        state.works()
                        time.sleep(LOOK_SECONDS)
            except Busy:
                log.debug("another process takes the snapshots")
            except (psycopg.OperationalError, *AWAY) as error:
                log.warning(
                    "Database unavailable, retrying in 5 s", extra={"error": str(error).strip()}
                )
            except SchemaOutdated:
                raise
            except Exception as error:  # the process is started again
                state.fails(f"no snapshots are taken: {in_words(error)}", is_lasting=True)
                raise
            time.sleep(LOOK_SECONDS)
