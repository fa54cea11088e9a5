"""Commands on one event loop share commits; each gets what is its own, be it a conflict."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast
from uuid import UUID

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent

from application.persistence.group_commit import MAX_EVENTS, Events, GroupCommit, Places


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
        self.stamps: list[datetime | None] = []
        self.woken: list[int] = []
        self.attempts = 0
        self.failure: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._stored: dict[tuple[Any, int], int] = {}

    async def record(self, events: Events, stamp: datetime | None) -> Sequence[int]:
        self.stamps.append(stamp)
        self.attempts += 1
        await self.gate.wait()
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
        return ids

    async def taken(self, events: Events) -> Places:
        return self._stored.keys() & {(e.originator_id, e.originator_version) for e in events}

    async def wake(self, recorded: int) -> None:
        self.woken.append(recorded)


class Callers:
    """Callers of a group commit, one after the other, while the first one's is under way."""

    def __init__(self) -> None:
        self.log = Log()
        self.group = GroupCommit(self.log)

    async def record(self, *events: StoredEvent) -> list[int]:
        return list(await self.group.record(events))

    async def joined(
        self, *calls: Sequence[StoredEvent], meanwhile: Callable[[list[Any]], None] | None = None
    ) -> list[list[int] | BaseException]:
        """What all got; all but the first call join one commit, in this order."""
        self.log.gate.clear()
        first, *others = calls
        tasks = [asyncio.create_task(self.record(*first))]
        await self.settle()
        tasks += [asyncio.create_task(self.record(*each)) for each in others]
        await self.settle()
        if meanwhile is not None:
            meanwhile(tasks)
        self.log.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Let all go on that can."""
        for _ in range(10):
            await asyncio.sleep(0)


def on_a_loop(test: Callable[[Callers], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        async def scenario() -> None:
            await test(Callers())

        asyncio.run(scenario())

    del run.__wrapped__
    return run


def conflicts(results: Iterable[object]) -> list[bool]:
    return [isinstance(result, IntegrityError) for result in results]


@on_a_loop
async def test_a_caller_alone_commits_at_once_and_wakes_who_listens(callers: Callers) -> None:
    assert await callers.record(event(1), event(2)) == [1, 2]
    assert await callers.record(event(3)) == [3]
    await callers.group.finish()
    assert callers.log.commits == [[1, 2], [3]]
    assert callers.log.woken == [2, 3]
    assert callers.group.callers == 0


@on_a_loop
async def test_who_comes_while_a_commit_is_under_way_shares_the_next_and_gets_its_own_ids(
    callers: Callers,
) -> None:
    first, *others = await callers.joined(
        [event(1)], [event(2), event(3)], [event(4)], [], [event(5), event(6)]
    )
    assert first == [1]
    assert others == [[2, 3], [4], [], [5, 6]]
    assert callers.log.commits == [[1], [2, 3, 4, 5, 6]]


@on_a_loop
async def test_who_conflicts_with_what_is_stored_fails_alone(callers: Callers) -> None:
    await callers.record(event(2))
    _, conflicting, neighbour = await callers.joined([event(1)], [event(2), event(3)], [event(4)])
    assert conflicts([conflicting]) == [True]
    assert neighbour == [3]
    assert callers.log.commits == [[2], [1], [4]]


@on_a_loop
async def test_of_two_that_want_the_same_place_in_one_commit_the_first_gets_it(
    callers: Callers,
) -> None:
    _, first, second, neighbour = await callers.joined(
        [event(1)], [event(2)], [event(2), event(3)], [event(4)]
    )
    assert first == [2]
    assert conflicts([second]) == [True]
    assert neighbour == [3]


@on_a_loop
async def test_who_was_in_the_way_of_another_and_is_refused_is_in_its_way_no_more(
    callers: Callers,
) -> None:
    """Told of a conflict, a caller looks for what it conflicts with: that has to be stored."""
    await callers.record(event(2))
    _, refused, second = await callers.joined([event(1)], [event(2), event(3)], [event(3)])
    assert conflicts([refused]) == [True]
    assert second == [3]
    assert callers.log.commits == [[2], [1], [3]]


@on_a_loop
async def test_who_wants_one_place_twice_fails_alone(callers: Callers) -> None:
    _, twice, neighbour = await callers.joined([event(1)], [event(2), event(2)], [event(3)])
    assert conflicts([twice]) == [True]
    assert neighbour == [2]


@on_a_loop
async def test_where_all_conflict_nothing_is_committed(callers: Callers) -> None:
    await callers.record(event(2), event(3))
    _, *others = await callers.joined([event(1)], [event(2)], [event(3)], [event(3)])
    assert conflicts(others) == [True, True, True]
    assert callers.log.commits == [[2, 3], [1]]
    assert callers.log.woken == [2, 3]


@on_a_loop
async def test_a_conflict_that_nobody_can_explain_reaches_the_caller(callers: Callers) -> None:
    callers.log.failure = IntegrityError("another constraint")
    with pytest.raises(IntegrityError, match="another constraint"):
        await callers.record(event(1))
    assert await callers.record(event(1)) == [1]


@pytest.mark.parametrize("error", [OperationalError("away"), ZeroDivisionError()])
def test_an_error_is_nothing_to_those_who_wait_for_the_next_commit(error: Exception) -> None:
    async def scenario(callers: Callers) -> None:
        callers.log.failure = error
        results = await callers.joined([event(1)], [event(2)], [event(3)])
        assert results == [error, [1], [2]]

    on_a_loop(scenario)()


@on_a_loop
async def test_an_error_of_a_shared_commit_reaches_all_that_share_it(callers: Callers) -> None:
    lost = OperationalError("PostgreSQL is away")
    record = callers.log.record

    async def lose_what_is_shared(events: Events, stamp: datetime | None) -> Sequence[int]:
        if len(events) > 1:
            raise lost
        return await record(events, stamp)

    callers.log.record = lose_what_is_shared  # type: ignore[method-assign]
    first, *others = await callers.joined([event(1)], [event(2)], [event(3)], [event(4)])
    assert first == [1]
    assert others == [lost, lost, lost]
    assert await callers.record(event(2)) == [2]


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_caller_that_gives_up_keeps_nobody_from_its_commit_nor_itself(gone: int) -> None:
    """The first one's commit is under way, the other two wait for the next."""

    async def scenario(callers: Callers) -> None:
        results = await callers.joined(
            [event(1)], [event(2)], [event(3)], meanwhile=lambda tasks: tasks[gone].cancel()
        )
        assert isinstance(results[gone], asyncio.CancelledError)
        stayed = [number for number in range(3) if number != gone]
        assert [results[number] for number in stayed] == [[number + 1] for number in stayed]
        assert callers.log.commits == [[1], [2, 3]]

    on_a_loop(scenario)()


@pytest.mark.parametrize("failure", [OperationalError("away"), IntegrityError("another")])
def test_a_commit_that_fails_for_a_caller_that_gave_up_fails_for_the_others(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    async def scenario(callers: Callers) -> None:
        async def fail(*_: object) -> Sequence[int]:
            raise failure

        def lose(tasks: list[Any]) -> None:
            tasks[1].cancel()
            monkeypatch.setattr(callers.log, "record", fail)

        first, gone, other = await callers.joined(
            [event(1)], [event(2)], [event(3)], meanwhile=lose
        )
        assert first == [1]
        assert isinstance(gone, asyncio.CancelledError)
        assert other is failure

    on_a_loop(scenario)()


@on_a_loop
async def test_a_commit_has_no_more_events_than_it_may_but_the_first_callers(
    callers: Callers,
) -> None:
    many = [event(number) for number in range(10, 10 + MAX_EVENTS)]
    await callers.joined([event(1)], many[:-1], [event(2)], [event(3)])
    assert [len(commit) for commit in callers.log.commits] == [1, MAX_EVENTS, 1]
    assert callers.log.commits[2] == [3]


async def in_turns(count: int, call: Callable[[int], Awaitable[None]]) -> None:
    await asyncio.gather(*(call(caller) for caller in range(count)))


@on_a_loop
async def test_many_callers_each_get_the_ids_of_their_own_events(callers: Callers) -> None:
    count, each = 16, 100
    stored: dict[int, int] = {}  # id -> aggregate

    async def call(caller: int) -> None:
        for turn in range(each):
            number = caller * each + turn
            events = [event(2 * number), event(2 * number + 1)]
            for stored_event, notification_id in zip(
                events, await callers.record(*events), strict=True
            ):
                stored[notification_id] = number_of(stored_event)

    await in_turns(count, call)
    in_order = [number for commit in callers.log.commits for number in commit]
    assert [stored[notification_id] for notification_id in sorted(stored)] == in_order
    assert sorted(in_order) == list(range(2 * count * each))


@on_a_loop
async def test_of_many_callers_that_want_the_same_places_one_gets_each(callers: Callers) -> None:
    count, places = 16, 50
    won: list[int] = []
    lost: list[int] = []

    async def call(_: int) -> None:
        for place in range(places):
            try:
                await callers.record(event(place))
            except IntegrityError:
                lost.append(place)
            else:
                won.append(place)

    await in_turns(count, call)
    assert sorted(won) == list(range(places))
    assert len(lost) == (count - 1) * places


@on_a_loop
async def test_a_commit_has_the_newest_stamp_of_those_that_share_it(callers: Callers) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    await callers.record(event(1))
    callers.log.gate.clear()
    stamped = [(event(2), None), (event(3), noon), (event(4), noon.replace(hour=11))]
    under_way = asyncio.create_task(callers.record(event(5)))
    await callers.settle()
    tasks = [asyncio.create_task(callers.group.record([each], time)) for each, time in stamped]
    await callers.settle()
    callers.log.gate.set()
    await asyncio.gather(under_way, *tasks)
    assert callers.log.stamps == [None, None, noon]
