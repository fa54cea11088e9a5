"""The thread of the fused engine, and how followers join it and leave it."""

import logging
import threading
from collections.abc import Sequence
from typing import cast

from application.fused import Fused
from application.matching import Matching
from application.orders import Orders
from application.persistence.connection import AWAY
from application.persistence.following import BatchFollower
from application.persistence.guards import LockTimeout
from application.views.view import View
from interface.following import Following, process

log = logging.getLogger(__name__)


class FusedFollowing(Following):
    """Matching's loop, which does the work of those too who have joined it.

    Everybody begins alone. Orders' follower joins once it has caught up, then each view. Without
    Orders' follower Matching goes on alone; a view that holds the others up goes on alone.
    """

    def __init__(
        self,
        matching: Matching,
        others: Sequence[Following],
        batch_size: int,
        stopping: threading.Event,
    ) -> None:
        """``others``: the followings in this process that may join, Orders' among them."""
        super().__init__(matching, [Orders.name], batch_size, stopping)
        self._others = sorted(others, key=lambda each: isinstance(each.follower, View))
        self._orders, *_ = self._others
        self._fused = Fused(matching, cast("Orders", self._orders.follower))

    def run(self) -> None:
        super().run()
        self._fused.close()

    def forget(self) -> None:
        """Part: all go on alone, from what is stored."""
        self._fused.leave()
        for other in self._others:
            if other.is_joined:
                other.go_alone()

    def work(self) -> None:
        try:
            while self.is_our_turn and not self._stopping.is_set():
                self._take_in()
                if not self._process():
                    break
            self._fused.settle()
        except BaseException:
            self.forget()
            raise

    def _process(self) -> bool:
        """Process a batch; return whether there may be more."""
        if not self._fused.is_joined:
            process(self.follower, self.leaders, self._batch_size)
            self.works_again()
            return self.follower.may_have_more
        self._fused.process_batch(self._batch_size)
        self.works_again()
        for other in self._others:
            is_view = isinstance(other.follower, View)
            if is_view and other.is_joined and other.follower not in self._fused.views:
                other.go_alone()
        return self._fused.may_have_more

    def _take_in(self) -> None:
        """Have those join who have caught up by themselves, Orders' follower first."""
        for other in self._others:
            if other is not self._orders and not self._fused.is_joined:
                return
            if other.may_join and not other.follower.processing_lock.locked():
                other.is_joined = True
                if not self._joins(other.follower):
                    other.go_alone()

    def _joins(self, follower: BatchFollower) -> bool:
        try:
            return self._fused.join(follower)
        except Exception as error:
            if isinstance(error, AWAY) and not isinstance(error, LockTimeout):
                raise
            log.warning(
                "can't join the engine, goes on alone",
                extra={"follower": follower.name, "error": str(error).strip()},
            )
            return False


def fuse(
    followings: Sequence[Following], batch_size: int, stopping: threading.Event
) -> list[Following]:
    """Return the followings, with Matching's fused with those of Orders and of views.

    They are left as they are where Matching's or Orders' is not among them, or is fed from Kafka.
    """
    fusible = [each for each in followings if type(each) is Following]
    matching = [each for each in fusible if isinstance(each.follower, Matching)]
    others = [each for each in fusible if Matching.name in each.follower.readers]
    if not matching or not any(isinstance(each.follower, Orders) for each in others):
        return list(followings)
    [alone] = matching
    fused = FusedFollowing(cast("Matching", alone.follower), others, batch_size, stopping)
    return [fused if each is alone else each for each in followings]
