"""Measuring the database's time every second, for a process whose requests use it."""

import logging
import threading

import psycopg

from application.persistence.connection import AWAY
from application.persistence.database_clock import MEASURE_SECONDS, DatabaseClock

log = logging.getLogger(__name__)


class Timekeeper(threading.Thread):
    """Has a clock measure, whatever fails, until it is stopped or the process ends."""

    def __init__(self, clock: DatabaseClock) -> None:
        super().__init__(name="timekeeper", daemon=True)
        self._clock = clock
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._clock.measure()
            except (psycopg.Error, *AWAY) as error:
                # Requests say that the database is unavailable; the time is carried on.
                log.debug("time not measured", extra={"error": str(error).strip()})
            except Exception:
                log.exception("time not measured")
            self._stopping.wait(MEASURE_SECONDS)
