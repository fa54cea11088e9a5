"""What one HTTP worker works with on its event loop, and the order in which it ends."""

import asyncio
from typing import Final

from application.persistence.database_clock import DatabaseClock
from application.persistence.group_commit import GroupCommit
from application.persistence.log_connection import LogConnection
from interface.http.pool import Pool
from interface.listening import Bell
from system import Market

# For commits that are under way when the worker ends: a silent database is cut off before.
_FINISH_SECONDS: Final = 4


class Worker:
    """The market of a worker, what records in it, and what knows how far it has come.

    The market, the clock and the bell belong to the caller, who makes the clock measure.
    """

    def __init__(self, market: Market, bell: Bell, clock: DatabaseClock, threads: int) -> None:
        self.market = market
        self.bell = bell
        self.clock = clock
        self.pool = Pool(threads)
        self._log = LogConnection(market.orders.recorder, market.orders.env)
        self.commits = GroupCommit(self._log)
        self._listening: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the connections of its own, and listen, on a loop that may start later."""
        self._listening = loop.create_task(self._listen())

    async def _listen(self) -> None:
        await self._log.open()
        await self.bell.run()

    async def stop(self) -> None:
        """End everything; what is being committed first, and connections last."""
        self.bell.end_waits()
        try:
            async with asyncio.timeout(_FINISH_SECONDS):
                await self.commits.finish()
        except TimeoutError:
            pass
        self.pool.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._log.close()
