"""Measuring the database's time every second, for a process whose requests use it."""

import logging
import threading
from collections.abc import Callable

import psycopg

from application.books_ahead import BooksAhead
from application.persistence.connection import AWAY, DatabaseUnusable
from application.persistence.database_clock import MEASURE_SECONDS, DatabaseClock

log = logging.getLogger(__name__)


class Timekeeper(threading.Thread):
    """A thread that makes a clock measure, despite errors, until it or the process ends.

    In between it finds the books that are ahead of that time, and calls ``check_release``,
    which raises DatabaseUnusable once the process is to ``end``, for the reason that it is given.
    """

    def __init__(
        self,
        clock: DatabaseClock,
        ahead: BooksAhead,
        check_release: Callable[[], None],
        end: Callable[[str], None],
    ) -> None:
        super().__init__(name="timekeeper", daemon=True)
        self._clock = clock
        self._ahead = ahead
        self._check_release = check_release
        self._end = end
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._clock.measure()
                self._check_release()
                self._ahead.look()
            except DatabaseUnusable as error:
                self._end(str(error))
                return
            except (psycopg.Error, *AWAY) as error:
                # Requests say that the database is unavailable; the time is carried on.
                log.debug("time not measured", extra={"error": str(error).strip()})
            except Exception:
                log.exception("time not measured")
            self._stopping.wait(MEASURE_SECONDS)
