"""When orders are due: by time, and at one time by arrival, whatever came and went between."""

from datetime import datetime
from random import Random
from uuid import UUID

import pytest

from domain.expiries import Expiries
from tests.domain.support import seconds


def test_nothing_is_due_where_there_is_nothing() -> None:
    expiries = Expiries()
    assert (expiries.next, expiries.ends(), expiries.due(seconds(9))) == (None, {}, [])


def test_what_was_due_and_removed_is_due_no_more() -> None:
    expiries = Expiries()
    expiries.add(seconds(5), UUID(int=1))
    assert expiries.due(seconds(5)) == [UUID(int=1)]
    expiries.remove(seconds(5), UUID(int=1))
    assert (expiries.next, expiries.due(seconds(5))) == (None, [])


def test_a_time_that_all_left_can_come_again() -> None:
    expiries = Expiries()
    for number in range(3):
        expiries.add(seconds(5), UUID(int=number))
        expiries.remove(seconds(5), UUID(int=number))
    expiries.add(seconds(5), UUID(int=9))
    assert expiries.next == seconds(5)
    assert expiries.due(seconds(5)) == [UUID(int=9)], "and is due once"


def test_times_without_orders_are_not_kept_for_ever() -> None:
    expiries = Expiries()
    expiries.add(seconds(0), UUID(int=0))
    for number in range(1, 10_000):
        expiries.add(seconds(number), UUID(int=number))
        expiries.remove(seconds(number), UUID(int=number))
    assert len(expiries._times) < 100
    assert expiries.due(seconds(10_000)) == [UUID(int=0)]


@pytest.mark.parametrize("seed", range(5))
def test_they_are_what_a_sorted_list_is(seed: int) -> None:
    random = Random(seed)
    expiries = Expiries()
    expected: list[tuple[datetime, UUID]] = []  # in the order of arrival
    for number in range(3_000):
        if random.random() < 0.5 or not expected:
            each = (seconds(number + random.randint(1, 300)), UUID(int=number))
            expiries.add(*each)
            expected.append(each)
        elif random.random() < 0.9:
            expiries.remove(*expected.pop(random.randrange(len(expected))))
        else:
            due = sorted((each for each in expected if each[0] <= seconds(number)), key=_time)
            assert expiries.due(seconds(number)) == [order_id for _, order_id in due]
            for each in due:
                expiries.remove(*each)
                expected.remove(each)
        if number % 10 == 0:
            assert expiries.next == min(map(_time, expected), default=None)
            assert list(expiries.ends()) == [
                order_id for _, order_id in sorted(expected, key=_time)
            ]


def _time(each: tuple[datetime, UUID]) -> datetime:
    return each[0]
