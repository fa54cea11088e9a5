"""The sessions that threads are given."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.integration.conftest import Venue


def test_a_thread_is_given_the_connection_that_it_had_last(venue: Venue) -> None:
    datastore = venue.market.orders.recorder.datastore
    turns = threading.Barrier(2, timeout=30)
    sessions: dict[str, list[int]] = {"first": [], "second": []}

    def take(name: str) -> None:
        with datastore.get_connection() as connection:
            turns.wait()  # both have one
            sessions[name].append(connection.info.backend_pid)

    def work(name: str) -> None:
        for number in range(6):
            take(name)
            turns.wait()
            if (number % 2 == 0) is (name == "first"):  # now one is faster, now the other
                time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(name,)) for name in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = map(set, sessions.values())
    assert (len(first), len(second)) == (1, 1)
    assert first != second


def test_a_new_thread_is_given_the_connection_that_was_used_last(venue: Venue) -> None:
    datastore = venue.market.orders.recorder.datastore

    def session() -> int:
        with datastore.get_connection() as connection:
            return connection.info.backend_pid

    with datastore.get_connection() as older:
        newer = session()
    in_turns = []
    for _ in range(3):
        with ThreadPoolExecutor(1) as thread:
            in_turns.append(thread.submit(session).result())
    assert newer != older.info.backend_pid
    assert in_turns == [older.info.backend_pid] * 3
