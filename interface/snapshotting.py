"""The process that takes snapshots: looks every few seconds, one process at a time."""

import logging
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Final, NoReturn

import psycopg

from application.matching import Matching
from application.persistence.connection import AWAY
from application.persistence.locks import Busy, alone
from application.snapshots import SnapshotTaker
from application.user_assets_backfill import UserAssetsBackfill
from system import build_alone

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0


def take_snapshots(env: Mapping[str, str], every: int) -> NoReturn:
    """Takes what is due, for ever; where another process does it already, stands by.

    Should PostgreSQL end the session that holds the lock, two may do the same for a while:
    the snapshots of both are right.
    """
    with closing(build_alone(env, Matching)) as matching:
        taker = SnapshotTaker(matching, every)
        while True:
            try:
                with alone(env, "take snapshots", wait=False):
                    UserAssetsBackfill(matching).fill()
                    log.info("taking snapshots")
                    while True:
                        taker.take_due()
                        time.sleep(LOOK_SECONDS)
            except Busy:
                log.debug("another process takes the snapshots")
            except (psycopg.OperationalError, *AWAY) as error:
                log.warning(
                    "Database unavailable, retrying in 5 s", extra={"error": str(error).strip()}
                )
            time.sleep(LOOK_SECONDS)
