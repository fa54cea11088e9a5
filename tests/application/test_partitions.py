from application.persistence.partitions import partition_of


def test_a_key_belongs_to_the_same_partition_for_ever():
    keys = ("BTC-USD", "ETH-USD", "SOL-USD", "a", "")
    assert [partition_of(key, 8) for key in keys] == [0, 7, 3, 3, 0]


def test_every_key_has_a_place_where_there_is_one_partition():
    assert {partition_of(str(number), 1) for number in range(100)} == {0}
