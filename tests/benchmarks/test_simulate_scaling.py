"""How far the market scales, worked out: the arithmetic."""

import pytest

from benchmarks.simulate_scaling import Costs, Layout, Load, busiest, limits, round_of_commits, zipf

COSTS = Costs(
    matching=50, orders=50, publisher=100, views=100, postgres=200, broker=100, orders_events=3
)


def test_instruments_share_the_load_as_zipfs_law_says() -> None:
    assert zipf(3, 1) == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    assert zipf(4, 0) == [0.25] * 4


def test_a_worker_that_has_all_partitions_has_all_the_load() -> None:
    load = busiest(zipf(100, 1), Layout(stores=1, workers=1, partitions=8, postgres_cores=1))
    assert (load.worker, load.store) == pytest.approx((1, 1))


def test_no_share_is_smaller_than_what_it_is_part_of() -> None:
    load = busiest(zipf(100, 1), Layout(stores=2, workers=4, partitions=8, postgres_cores=1))
    assert load.instrument <= load.partition <= load.worker <= load.store


def test_each_part_is_busy_for_seven_tenths_at_its_limit() -> None:
    layout = Layout(stores=1, workers=2, partitions=8, postgres_cores=4)
    assert limits(COSTS, layout, Load(0.1, 0.2, 0.5, 1)) == pytest.approx(
        {
            "Matching": 28_000,
            "Orders": 14_000,
            "publisher": 7_000,
            "PostgreSQL": 14_000,
            "lock of the log": 700_000 / 27,
        }
    )


def test_workers_of_a_store_commit_one_after_the_other() -> None:
    layout = Layout(stores=1, workers=10, partitions=10, postgres_cores=1)
    assert round_of_commits(0, layout, Load(1, 1, 1, 1)) == pytest.approx(9)
