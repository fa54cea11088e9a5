"""The database's time, as this process estimates it: every command is stamped with it.

Hosts' clocks differ, and they step. So a process asks PostgreSQL for its time every second and
carries the answer on by a clock that never steps, the time since the host was started. That
clock runs on while the process is stopped and, unlike CLOCK_MONOTONIC on Linux, while the host
is suspended, while the database's clock runs on.

A measurement that contradicts what was carried on by more than the bound means that the
database's clock has jumped. Until the two agree again, new orders and amends are refused; what
is taken is stamped with the earlier of the two times, with which no order ends early.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self, TypeVar

from psycopg.rows import tuple_row

from application.persistence.connection import living_connection
from application.persistence.guards import StampAhead

log = logging.getLogger(__name__)

MAX_AHEAD: Final = "MAX_CLOCK_AHEAD_SECONDS"  # in the library's environment
_DEFAULT_MAX_AHEAD: Final = "1"
MEASURE_SECONDS: Final = 1.0
_RECENT: Final = 10  # measurements of which the one with the shortest round trip is used
_DRIFT_SECONDS: Final = 0.01  # between two clocks while that many measurements are made
# For how long the host's clock has to confirm a jump: one that a clock service mends at once,
# as after a virtual machine has moved, changes nothing.
BELIEVE_AFTER_SECONDS: Final = 10.0

# On systems without CLOCK_BOOTTIME, such as macOS, CLOCK_MONOTONIC counts the time asleep.
_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

Recorded = TypeVar("Recorded")


class TimeUnknown(Exception):
    """The database's time has not been measured since the process started."""


class ClocksDisagree(Exception):
    """The database's clock has jumped, and nothing confirms its time."""


class _Measurement(NamedTuple):
    """The database's time less the time since boot, and half the round trip, in seconds."""

    offset: float
    error: float


class _Jump(NamedTuple):
    """The offset after a jump of the database's clock, and since when the host's confirms it."""

    offset: float
    confirmed_since: float | None


def ask_time(recorder: Any) -> float:
    """Return the database's time in seconds since 1970, asked through a recorder's pool."""
    with living_connection(recorder.datastore) as connection:
        cursor = connection.cursor(row_factory=tuple_row)
        [(now,)] = cursor.execute(_ASK, prepare=True).fetchall()
        return float(now)


def since_boot() -> float:
    """Return a time in seconds that no step of the host's clock changes."""
    return time.clock_gettime(_SINCE_BOOT)


class DatabaseClock:
    """``ask`` returns the database's time; both it and ``wall`` in seconds since 1970."""

    def __init__(
        self,
        ask: Callable[[], float],
        max_ahead_seconds: float,
        *,
        steady: Callable[[], float] = since_boot,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ask = ask
        self._max_ahead = max_ahead_seconds
        self._steady = steady
        self._wall = wall
        self._mutex = threading.Lock()
        self._recent: deque[_Measurement] = deque(maxlen=_RECENT)
        self._offset: float | None = None  # that is carried on
        self._jump: _Jump | None = None
        self.jumps_believed = 0

    @classmethod
    def of(cls, application: Any) -> Self:
        """Return a clock that asks through the pool of an application."""
        recorder = application.recorder
        return cls(lambda: ask_time(recorder), max_ahead_seconds(application.env))

    @property
    def max_ahead_seconds(self) -> float:
        return self._max_ahead

    @property
    def is_measured(self) -> bool:
        """Test if the time is known: then nothing has to be asked for it."""
        return self._offset is not None

    def measure(self) -> None:
        """Ask for the database's time once more. Raise what asking raises."""
        before = self._steady()
        asked = self._ask()
        after = self._steady()
        if after - before <= self._max_ahead:  # a longer round trip says too little
            with self._mutex:
                self._take(_Measurement(asked - (before + after) / 2, (after - before) / 2))

    def now(self) -> datetime:
        """Return the time for a command that is taken whatever the clocks say.

        Raise TimeUnknown, or what asking raises where nothing has been measured yet.
        """
        if self._offset is None:
            self.measure()
        offset, jump = self._offset, self._jump
        if offset is None:
            raise TimeUnknown(_UNKNOWN)
        if jump is not None:
            offset = min(offset, jump.offset)
        return datetime.fromtimestamp(self._steady() + offset, UTC)

    def agreed_now(self) -> datetime:
        """Return the time for a new order or an amend. Raise ClocksDisagree as well."""
        now = self.now()
        if fault := self.fault():
            raise ClocksDisagree(fault)
        return now

    def stamp(
        self, record: Callable[[datetime], Recorded], *, must_agree: bool = False
    ) -> Recorded:
        """Record a command with the time; ``must_agree`` says that it is an order or an amend.

        A stamp that the database refuses shows that its clock went back since the last
        measurement: measure, and try once more. Raise StampAhead if that doesn't help.
        """
        time_of = self.agreed_now if must_agree else self.now
        try:
            return record(time_of())
        except StampAhead:
            self.measure()
            return record(time_of())

    def fault(self) -> str | None:
        """Return why new orders and amends are refused, if they are."""
        offset, jump = self._offset, self._jump
        if offset is None:
            return _UNKNOWN
        if jump is None:
            return None
        way = "ahead of" if jump.offset > offset else "behind"
        return (
            f"The database's clock jumped: it is {abs(jump.offset - offset):.1f} s {way} what this"
            " host has measured and carried on. New orders and amends are refused until the two"
            " agree, or the host's clock confirms the database's time"
        )

    def _take(self, measured: _Measurement) -> None:
        if self._offset is None:
            self._warn_of_the_host(measured)
            self._use(measured)
        elif abs(measured.offset - self._offset) <= self._max_ahead:
            if self._jump is not None:
                log.warning("the database's clock agrees with this host again")
            self._use(measured)
        else:
            self._doubt(measured)

    def _use(self, measured: _Measurement) -> None:
        self._jump = None
        if any(_contradict(measured, each) for each in self._recent):
            self._recent.clear()  # it has stepped within the bound: the newest is right
        self._recent.append(measured)
        self._offset = min(self._recent, key=lambda each: each.error).offset

    def _doubt(self, measured: _Measurement) -> None:
        """Believe a jump once the host's clock has confirmed it for long enough."""
        steady = self._steady()
        known = self._jump
        if known is None or abs(known.offset - measured.offset) > self._max_ahead:
            known = None
        since = known.confirmed_since if known else None
        is_confirmed = abs(self._wall() - steady - measured.offset) <= self._max_ahead
        since = (steady if since is None else since) if is_confirmed else None
        if since is not None and steady - since >= BELIEVE_AFTER_SECONDS:
            log.warning("the database's clock is believed: the host's clock confirms it")
            self._recent.clear()
            self._use(measured)
            self.jumps_believed += 1
            return
        self._jump = _Jump(measured.offset, since)
        if known is None:
            log.error("clocks disagree", extra={"error": self.fault()})

    def _warn_of_the_host(self, measured: _Measurement) -> None:
        ahead = self._wall() - self._steady() - measured.offset
        if abs(ahead) > self._max_ahead:
            log.warning(
                "this host's clock differs from the database's, which is used",
                extra={"seconds_ahead": round(ahead, 1)},
            )


def max_ahead_seconds(env: Mapping[str, str]) -> float:
    """Return how far a stamp may be ahead of the database's clock, from the library's ``env``."""
    return float(env.get(MAX_AHEAD, _DEFAULT_MAX_AHEAD))


def _contradict(one: _Measurement, other: _Measurement) -> bool:
    """Return whether no one time is possible by both measurements."""
    return abs(one.offset - other.offset) > one.error + other.error + _DRIFT_SECONDS


_UNKNOWN: Final = "The database's time is not known yet: no measurement has succeeded"

_ASK: Final = "SELECT extract(epoch FROM clock_timestamp())"
