"""Event loops of tests that are not written for one: each runs in a thread."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from interface.listening import Bell

T = TypeVar("T")


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="loop")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def call(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns once it has run on the loop."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)


@contextmanager
def ringing(bell: Bell) -> Iterator[Bell]:
    """A bell that listens, on a loop of its own."""
    with running_loop() as loop:
        listening = asyncio.run_coroutine_threadsafe(bell.run(), loop)
        try:
            yield bell
        finally:
            listening.cancel()
            call(loop, asyncio.sleep(0.01))
