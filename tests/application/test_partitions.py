import pytest

from application.persistence.partitions import Published, covers, partition_of


def test_a_key_belongs_to_the_same_partition_for_ever():
    keys = ("BTC-USD", "ETH-USD", "SOL-USD", "a", "")
    assert [partition_of(key, 8) for key in keys] == [0, 7, 3, 3, 0]


def test_every_key_has_a_place_where_there_is_one_partition():
    assert {partition_of(str(number), 1) for number in range(100)} == {0}


def asset_in(partition: int, partitions: int) -> str:
    return next(
        asset
        for asset in (f"ASSET-{number}" for number in range(1000))
        if partition_of(asset, partitions) == partition
    )


@pytest.mark.parametrize(
    ("positions", "partition", "position", "is_covered"),
    [
        ([10], None, 10, True),
        ([10], None, 11, False),
        ([10, 7, 9], None, 7, True),
        ([10, 7, 9], None, 8, False),
        ([10, 7, 9], 0, 10, True),
        ([10, 7, 9], 1, 8, False),
        ([10, 7, 9], 2, 9, True),
        ([10, 7, 9], 2, 10, False),
    ],
)
def test_an_asset_is_as_far_as_its_partition_and_all_are_as_far_as_the_last(
    positions: list[int], partition: int | None, position: int, *, is_covered: bool
) -> None:
    asset = None if partition is None else asset_in(partition, len(positions))
    assert covers(positions, position, asset) is is_covered


@pytest.mark.parametrize(
    ("ends", "partition", "is_covered"),
    [
        ([20, 7, 9], 0, False),  # there is more for it
        ([20, 7, 9], 1, True),  # that was the last
        ([20, 8, 9], 1, False),
        ([20, 7, 9], None, False),
        ([10, 7, 9], None, True),
        ([20, 7], 1, False),  # of another number of partitions
        ([], 1, False),  # nobody knows
    ],
)
def test_who_has_the_last_that_was_published_has_all_that_was(
    ends: list[int], partition: int | None, *, is_covered: bool
) -> None:
    asset = None if partition is None else asset_in(partition, 3)
    assert covers([10, 7, 9], 20, asset, Published(20, ends)) is is_covered
    assert not covers([10, 7, 9], 21, asset, Published(20, ends))  # it was published up to there
