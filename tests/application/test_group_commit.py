"""Commands of many threads share commits; each gets what is its own, be it a conflict."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent

from application.persistence.group_commit import Events, GroupCommit, Places
from tests.integration.service import eventually


def event(number: int, version: int = 1) -> StoredEvent:
    return StoredEvent(UUID(int=number), version, "topic", b"{}")


def number_of(stored: StoredEvent) -> int:
    return cast("UUID", stored.originator_id).int


class Log:
    """Where commits end: a list in memory, with PostgreSQL's manners.

    ``gate`` is open, unless a test holds commits up to have others join the next.
    """

    def __init__(self) -> None:
        self.commits: list[list[int]] = []  # the aggregates of each, by number
        self.threads: list[threading.Thread] = []
        self.stamps: list[datetime | None] = []
        self.attempts = 0
        self.failure: BaseException | None = None
        self.gate = threading.Event()
        self.gate.set()
        self._stored: dict[tuple[Any, int], int] = {}

    def record(self, events: Events, stamp: datetime | None) -> Sequence[int]:
        self.stamps.append(stamp)
        self.attempts += 1
        assert self.gate.wait(10)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        places = [(each.originator_id, each.originator_version) for each in events]
        if len(set(places)) < len(places) or self._stored.keys() & set(places):
            raise IntegrityError("duplicate key")
        first = len(self._stored) + 1
        ids = range(first, first + len(events))
        self._stored.update(zip(places, ids, strict=True))
        self.commits.append([number_of(each) for each in events])
        self.threads.append(threading.current_thread())
        return ids

    def taken(self, events: Events) -> Places:
        return self._stored.keys() & {(e.originator_id, e.originator_version) for e in events}


class Callers:
    """Threads that call a group commit, one after the other, while the first is under way."""

    def __init__(self) -> None:
        self.log = Log()
        self.group = GroupCommit(self.log.record, self.log.taken)
        self._pool = ThreadPoolExecutor(64)

    def together(self, *calls: Sequence[StoredEvent]) -> list[Future[Sequence[int]]]:
        """Has all but the first call join one commit, in this order."""
        attempts = self.log.attempts
        self.log.gate.clear()
        futures = []
        for number, events in enumerate(calls):
            futures.append(self._pool.submit(self.group.record, events))
            if number == 0:
                eventually(lambda: self.log.attempts > attempts, 5)
            else:
                eventually(lambda n=number: len(self.group._waiting) == n, 5)  # type: ignore[misc]
        self.log.gate.set()
        return futures


def conflicts(future: Future[Any]) -> bool:
    return isinstance(future.exception(5), IntegrityError)


@pytest.fixture
def callers() -> Callers:
    return Callers()


def test_a_caller_alone_commits_at_once_in_its_own_thread(callers: Callers) -> None:
    assert list(callers.group.record([event(1), event(2)])) == [1, 2]
    assert list(callers.group.record([event(3)])) == [3]
    assert callers.log.commits == [[1, 2], [3]]
    assert set(callers.log.threads) == {threading.current_thread()}


def test_who_comes_while_a_commit_is_under_way_shares_the_next_and_gets_its_own_ids(
    callers: Callers,
) -> None:
    first, *others = callers.together(
        [event(1)], [event(2), event(3)], [event(4)], [], [event(5), event(6)]
    )
    assert list(first.result(5)) == [1]
    assert [list(other.result(5)) for other in others] == [[2, 3], [4], [], [5, 6]]
    assert callers.log.commits == [[1], [2, 3, 4, 5, 6]]


def test_who_conflicts_with_what_is_stored_fails_alone(callers: Callers) -> None:
    callers.group.record([event(2)])
    _, conflicting, neighbour = callers.together([event(1)], [event(2), event(3)], [event(4)])
    assert conflicts(conflicting)
    assert list(neighbour.result(5)) == [3]
    assert callers.log.commits == [[2], [1], [4]]


def test_of_two_that_want_the_same_place_in_one_commit_the_first_gets_it(
    callers: Callers,
) -> None:
    _, first, second, neighbour = callers.together(
        [event(1)], [event(2)], [event(2), event(3)], [event(4)]
    )
    assert list(first.result(5)) == [2]
    assert conflicts(second)
    assert list(neighbour.result(5)) == [3]


def test_who_was_in_the_way_of_another_and_is_refused_is_in_its_way_no_more(
    callers: Callers,
) -> None:
    """Told of a conflict, a caller looks for what it conflicts with: that has to be stored."""
    callers.group.record([event(2)])
    _, refused, second = callers.together([event(1)], [event(2), event(3)], [event(3)])
    assert conflicts(refused)
    assert list(second.result(5)) == [3]
    assert callers.log.commits == [[2], [1], [3]]


def test_where_all_conflict_nothing_is_committed(callers: Callers) -> None:
    callers.group.record([event(2), event(3)])
    _, *others = callers.together([event(1)], [event(2)], [event(3)], [event(3)])
    assert all(conflicts(other) for other in others)
    assert callers.log.commits == [[2, 3], [1]]


def test_a_conflict_that_nobody_can_explain_reaches_the_caller(callers: Callers) -> None:
    callers.log.failure = IntegrityError("another constraint")
    with pytest.raises(IntegrityError, match="another constraint"):
        callers.group.record([event(1)])
    assert list(callers.group.record([event(1)])) == [1]


@pytest.mark.parametrize("error", [OperationalError("away"), ZeroDivisionError(), SystemExit()])
def test_an_error_is_nothing_to_those_who_wait_for_the_next_commit(
    callers: Callers, error: BaseException
) -> None:
    callers.log.failure = error
    first, *others = callers.together([event(1)], [event(2)], [event(3)])
    assert first.exception(5) is error
    assert [list(other.result(5)) for other in others] == [[1], [2]]


def test_an_error_of_a_shared_commit_reaches_all_that_share_it(callers: Callers) -> None:
    lost = OperationalError("PostgreSQL is away")
    record = callers.log.record

    def lose_what_is_shared(events: Events, stamp: datetime | None) -> Sequence[int]:
        if len(events) > 1:
            raise lost
        return record(events, stamp)

    callers.group._record = lose_what_is_shared
    first, *others = callers.together([event(1)], [event(2)], [event(3)], [event(4)])
    assert list(first.result(5)) == [1]
    assert [other.exception(5) for other in others] == [lost, lost, lost]
    assert list(callers.group.record([event(2)])) == [2]


def test_many_threads_each_get_the_ids_of_their_own_events(callers: Callers) -> None:
    threads, each = 16, 100
    stored: dict[int, int] = {}  # id -> aggregate

    def call(thread: int) -> None:
        for turn in range(each):
            number = thread * each + turn
            events = [event(2 * number), event(2 * number + 1)]
            for stored_event, notification_id in zip(
                events, callers.group.record(events), strict=True
            ):
                stored[notification_id] = number_of(stored_event)

    run_all(threads, call)
    in_order = [number for commit in callers.log.commits for number in commit]
    assert [stored[notification_id] for notification_id in sorted(stored)] == in_order
    assert sorted(in_order) == list(range(2 * threads * each))


def test_of_many_threads_that_want_the_same_places_one_gets_each(callers: Callers) -> None:
    threads, places = 16, 50
    won: list[int] = []
    lost: list[int] = []

    def call(_: int) -> None:
        for place in range(places):
            try:
                callers.group.record([event(place)])
            except IntegrityError:
                lost.append(place)
            else:
                won.append(place)

    run_all(threads, call)
    assert sorted(won) == list(range(places))
    assert len(lost) == (threads - 1) * places


def run_all(threads: int, call: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(call, thread) for thread in range(threads)]:
            future.result(30)


def test_a_commit_has_the_newest_stamp_of_those_that_share_it(callers: Callers) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    callers.together([event(1)])[0].result(5)
    callers.group.record([event(2)], noon)
    assert callers.log.stamps == [None, noon]
