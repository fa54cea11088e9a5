"""The threads of an HTTP worker: for what reads the database, or takes more than a millisecond."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar

from interface.http.problems import Problem

# So many calls may wait for each thread: at a millisecond each, for as long as a client may think.
_WAITING_PER_THREAD: Final = 32

P = ParamSpec("P")
T = TypeVar("T")


class Pool:
    """A number of threads, and a queue of bounded length before them."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, "http")
        self._places = threading.BoundedSemaphore(threads * (1 + _WAITING_PER_THREAD))

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a call returns, in the context of the caller, so that it has its request.

        Raise Problem 503 where too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise Problem(503, "Too many requests wait to be worked on; nothing was changed")
        # A caller that gives up leaves its place to nobody while a thread is at its call.
        future = self._executor.submit(copy_context().run, partial(call, *args, **kwargs))
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop the calls that wait; those that are worked on end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)
