"""The threads of a worker: when all are busy, what needs none goes on, and the queue is bounded."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from interface.http.pool import Pool
from interface.http.problems import Problem
from tests.http.support import Service, order, wait_for

NUMBER: ContextVar[int] = ContextVar("NUMBER")


def test_more_calls_than_may_wait_are_refused_until_one_is_done() -> None:
    go_on = threading.Event()

    async def scenario() -> None:
        pool = Pool(2)
        most = 2 * 33
        calls = [asyncio.create_task(pool.run(go_on.wait)) for _ in range(most)]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="Too many requests") as refused:
            await pool.run(go_on.wait)
        assert refused.value.status == 503
        go_on.set()
        assert await asyncio.gather(*calls) == [True] * most
        assert await pool.run(lambda: "done") == "done"
        pool.close()

    asyncio.run(scenario())


def test_a_call_whose_caller_has_gone_keeps_its_place_while_it_runs() -> None:
    go_on = threading.Event()
    running = threading.Semaphore(0)

    def work() -> None:
        running.release()
        go_on.wait()

    async def scenario() -> None:
        pool = Pool(1)
        calls = [asyncio.create_task(pool.run(work)) for _ in range(33)]
        await asyncio.sleep(0)
        await asyncio.to_thread(running.acquire)
        calls[0].cancel()
        await asyncio.wait(calls[:1])
        with pytest.raises(Problem):
            await pool.run(work)
        calls[1].cancel()  # this one has not begun, so its place is free
        await asyncio.wait(calls[1:2])
        last = asyncio.create_task(pool.run(work))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(last, *calls[2:])
        pool.close()

    asyncio.run(scenario())


def test_a_call_has_the_context_of_its_caller() -> None:
    async def scenario() -> None:
        pool = Pool(1)

        async def ask(number: int) -> int:
            NUMBER.set(number)
            return await pool.run(NUMBER.get)

        assert await asyncio.gather(*map(ask, range(5))) == list(range(5))
        pool.close()

    asyncio.run(scenario())


def test_while_all_threads_hang_orders_are_placed_and_health_is_told(stalled: Service) -> None:
    go_on = threading.Event()
    hanging = threading.Semaphore(0)

    def hang() -> None:
        hanging.release()
        go_on.wait()

    for _ in range(16):
        asyncio.run_coroutine_threadsafe(stalled.worker.pool.run(hang), stalled.loop)
    for _ in range(16):
        assert hanging.acquire(timeout=60)
    with ThreadPoolExecutor(1) as readers:
        try:
            read = readers.submit(stalled.another_client().get, "/books/BTC-USD")
            assert stalled.client.get("/health").status_code == 200
            assert not read.done()
        finally:
            go_on.set()
        assert read.result().status_code == 200
    assert stalled.client.post("/orders", json=order()).status_code == 201
    wait_for(lambda: stalled.client.get("/orders").status_code == 200)
