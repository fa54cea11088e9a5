"""The clock: it asks that orders leave whose time is over.

Nothing depends on its being on time: a book lets nobody trade past their time. What it asks is
in the log like any other request; asked twice, it changes nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import uuid4

from application.orders import Orders
from application.views.books import BookView
from domain.requests import ExpiryRequest
from system import build_alone

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
# What it has asked for may take: who decides, or the view that it looks at, may be behind.
_AGAIN_SECONDS: Final = 60.0
_AFTER_FAULT_SECONDS: Final = 1.0
_USER: Final = "clock"


class _Asked(NamedTuple):
    """The latest end that was due in an asset when it was asked about, and when that was."""

    latest: datetime
    at: float


class Clock(threading.Thread):
    """Looks for what is due, until ``stopping`` is set, while ``is_our_turn``."""

    def __init__(
        self,
        env: Mapping[str, str],
        stopping: threading.Event,
        is_our_turn: Callable[[], bool],
    ) -> None:
        super().__init__(name="clock", daemon=True)
        self._env = env
        self._stopping = stopping
        self._is_our_turn = is_our_turn
        self._asked: dict[str, _Asked] = {}

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - whatever it is, time goes on
                log.warning("the clock waits", extra={"error": str(error).strip()})
                self._stopping.wait(_AFTER_FAULT_SECONDS)

    def _work(self) -> None:
        with (
            closing(build_alone(self._env, Orders)) as orders,
            closing(build_alone(self._env, BookView)) as books,
        ):
            self._asked.clear()
            while not self._stopping.wait(_LOOK_SECONDS):
                if not self._is_our_turn():
                    continue
                now = datetime.now(UTC)
                due = self._new(books.recorder.due_assets(now))
                if due:
                    orders.ask_all(
                        [
                            ExpiryRequest.make(uuid4(), user_id=_USER, asset=asset, time=now)
                            for asset in due
                        ]
                    )

    def _new(self, due: Mapping[str, datetime]) -> list[str]:
        """The assets in which more is due than was asked for already."""
        now = time.monotonic()
        new = {
            asset: _Asked(latest, now)
            for asset, latest in due.items()
            if (asked := self._asked.get(asset)) is None
            or latest > asked.latest
            or now - asked.at > _AGAIN_SECONDS
        }
        self._asked = {asset: self._asked[asset] for asset in due if asset in self._asked} | new
        return list(new)
