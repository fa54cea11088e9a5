"""Waits of requests for the market: their longest duration, and their number at a time."""

import threading
from collections.abc import Generator
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from eventsourcing.application import Application
from flask import Request, request
from werkzeug.http import parse_list_header

from application.waiting import Mark, Progress
from interface.http.problems import BadInput, Fault, Problem
from interface.http.tokens import Token, decode
from interface.http.wsgi import BEGUN
from interface.listening import Bell

MAX_WAIT_SECONDS: Final = 30

T = TypeVar("T")


class Waiting:
    """Waits on behalf of requests, in at most half of the server's threads at a time.

    A request that finds no place free is answered at once: the other threads stay free for requests
    that wait for nothing. Half of the places are for reads, which wait for milliseconds, so that
    long waits of writers don't take them.
    """

    def __init__(self, bell: Bell, threads: int, read_seconds: float) -> None:
        self.progress: Progress = bell
        self._bell = bell
        self._read_places = threading.BoundedSemaphore(threads // 4)
        self._write_places = threading.BoundedSemaphore(threads // 4)
        self._read_seconds = read_seconds

    def recorded(self, application: Application[UUID]) -> int:
        """Return the last notification id of an application's log, or an earlier one."""
        if not self._bell.is_informed:  # a long log is not read from its beginning for that
            return application.recorder.max_notification_id() or 0
        return self.progress.recorded(application.name)

    def decided(self, steps: Generator[Mark, None, T], seconds: float) -> T:
        """The result of the steps. Raises TimeoutError: too late, or no place was free."""
        return self._drive(steps, seconds, self._write_places)

    def shown(self, steps: Generator[Mark, None, None]) -> None:
        """Wait until a read model shows what a client has seen already.

        Raises Problem 503 if it does not in time.
        """
        try:
            self._drive(steps, self._read_seconds, self._read_places)
        except TimeoutError:
            raise Problem(503, "What is read here does not show that Position yet") from None

    def _drive(
        self, steps: Generator[Mark, None, T], seconds: float, places: threading.Semaphore
    ) -> T:
        has_place = places.acquire(blocking=False)
        try:
            begun: float | None = request.environ.get(BEGUN)
            return self._bell.drive(steps, seconds if has_place else 0, begun)
        finally:
            if has_place:
                places.release()


def preferred_wait(request: Request) -> int | None:
    """The seconds of ``Prefer: wait=N`` (RFC 7240), 30 at most; None without a valid one."""
    preferences = request.headers.get("Prefer")
    if preferences is None:
        return None
    for preference in parse_list_header(preferences):
        name, _, value = preference.partition(";")[0].partition("=")
        seconds = value.strip().strip('"')
        if name.strip().lower() == "wait" and seconds.isascii() and seconds.isdigit():
            return int(min(Decimal(seconds), Decimal(MAX_WAIT_SECONDS)))
    return None


def awaited_position(request: Request) -> int | None:
    """The place in the log of Orders that the header ``Position`` stands for.

    Raises BadInput for a header that is not a token of ours.
    """
    token = request.headers.get("Position")
    if token is None:
        return None
    try:
        [position] = decode(Token.POSITION, token)
    except ValueError as error:
        raise BadInput(Fault("Position", f"Position {error}")) from None
    return position
