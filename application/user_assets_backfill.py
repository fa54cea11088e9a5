"""Filling the table of user assets from the books, where an earlier release has made these.

The market goes on meanwhile, and nobody waits: whatever comes to be from now on Matching writes
itself, and a row whose orders are gone when it is inserted does no harm. So it may be ended at
any moment, and begun again, by any number of processes.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, cast

from application.matching import Matching
from application.persistence.user_assets import MatchingRecorder, Pair, of_book
from application.user_assets import OpenedBooks
from domain.values import book_id

log = logging.getLogger(__name__)

_BOOKS_AT_A_TIME: Final = 100
_ROWS_AT_A_TIME: Final = 5_000
_PROGRESS_SECONDS: Final = 5.0


class UserAssetsBackfill:
    """The work that makes the table complete."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._recorder = cast("MatchingRecorder", matching.recorder)

    def fill(self) -> None:
        """Insert the rows of all books, and say that the table is complete, unless it is."""
        if self._recorder.has_all_user_assets():
            return
        assets = sorted(
            OpenedBooks(self._matching.notification_log, self._matching.mapper).assets()
        )
        log.info("filling the table of user assets", extra={"assets": len(assets)})
        told = time.monotonic()
        for done in range(0, len(assets), _BOOKS_AT_A_TIME):
            rows = self._rows(assets[done : done + _BOOKS_AT_A_TIME])
            while some := list(islice(rows, _ROWS_AT_A_TIME)):
                self._recorder.add_user_assets(some)
            if time.monotonic() - told > _PROGRESS_SECONDS:
                told = time.monotonic()
                log.info(
                    "filling the table of user assets", extra={"done": done, "assets": len(assets)}
                )
        self._recorder.complete_user_assets()
        log.info("the table of user assets is complete", extra={"assets": len(assets)})

    def _rows(self, assets: Sequence[str]) -> Iterator[Pair]:
        for book in self._matching.load([book_id(asset) for asset in assets]).values():
            yield of_book(book.asset)
            for user in book.floor.users():
                yield user, book.asset
