"""The book that ours is held against does the same."""

from benchmarks import book, plain_book


def test_both_books_end_with_the_same_orders():
    flow = book.operations(5_000)
    ours = {order.order_id: order.remaining for order in book.run(flow).orders.values()}
    plain = {order_id: left for order_id, (_, _, left) in plain_book.run(flow).items()}
    assert ours == plain
    assert len(ours) > 100
