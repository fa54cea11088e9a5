"""The peer gets the same operations, and a benchmark goes on without it."""

import json

from benchmarks import book
from benchmarks.peer import Peer, encoded


def test_the_operations_are_the_same_with_numbers_for_ids():
    flow = book.operations(200)
    rows = json.loads(encoded(flow))
    ids = {number: operation.order_id for number, operation in enumerate(flow, start=1)}
    for operation, row in zip(flow, rows, strict=True):
        assert ids[row[0]] == operation.order_id
        if isinstance(operation, book.Arrival):
            assert row[1] == int(operation.user_id[-6:]) + 1
            assert row[2] == operation.side.value.lower()
            assert row[3:] == [operation.price, operation.quantity, operation.stays]


def test_an_order_is_cancelled_by_the_account_that_placed_it():
    rows = json.loads(encoded(book.operations(200)))
    cancels = [row for row in rows if len(row) == 2]
    assert cancels
    for number, account in cancels:
        assert rows[number - 1][1] == account


def test_where_it_cannot_be_installed_there_is_none_and_the_reason_is_said(tmp_path, capsys):
    with Peer.if_there(str(tmp_path / "no-python")) as peer:
        assert peer is None
    assert "The peer is not measured" in capsys.readouterr().err
