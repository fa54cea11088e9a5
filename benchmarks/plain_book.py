"""A book of plain dictionaries and lists in one function: what the order book is held against."""

from bisect import bisect_left, insort
from uuid import UUID

from benchmarks.book import Cancel, Operation
from domain.values import Side

# An order: its side, its price (negative for asks: higher is better), and what remains.
Resting = dict[UUID, tuple[Side, int, int]]


def run(operations: list[Operation]) -> Resting:
    """Do the operations on an empty book; return what rests at the end."""
    resting: Resting = {}
    queues: dict[Side, dict[int, dict[UUID, None]]] = {Side.BUY: {}, Side.SELL: {}}
    prices: dict[Side, list[int]] = {Side.BUY: [], Side.SELL: []}  # the best last

    def leave(order_id: UUID) -> None:
        side, price, _ = resting.pop(order_id)
        queue = queues[side][price]
        del queue[order_id]
        if not queue:
            del queues[side][price]
            del prices[side][bisect_left(prices[side], price)]

    for operation in operations:
        order_id = operation.order_id
        if isinstance(operation, Cancel):
            if order_id in resting:
                leave(order_id)
            continue
        side = operation.side
        price = operation.price if side is Side.BUY else -operation.price
        left = operation.quantity
        others = prices[side.opposite]
        while left and others and others[-1] >= -price:
            maker_id = next(iter(queues[side.opposite][others[-1]]))
            maker_side, maker_price, remaining = resting[maker_id]
            taken = min(left, remaining)
            left -= taken
            if taken == remaining:
                leave(maker_id)
            else:
                resting[maker_id] = (maker_side, maker_price, remaining - taken)
        if left and operation.stays:
            resting[order_id] = (side, price, left)
            if price not in queues[side]:
                queues[side][price] = {}
                insort(prices[side], price)
            queues[side][price][order_id] = None
    return resting
