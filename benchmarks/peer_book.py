"""The peer's book under the workload of book.py, run by the Python of its own environment.

Its arguments are the thresholds of the garbage collector, which are those of ours.
A line with all operations comes on standard input. For each further line, all are done on an
empty book, and the operations a second are printed, with the orders that rest at the end.
"""

import gc
import json
import sys
import time

from matching_engine import domain, engine  # type: ignore[import-not-found]


def command(number: int, row: list) -> object:  # type: ignore[type-arg]
    """Make what its sequencer makes of a request, which is not measured of ours either."""
    if len(row) == 2:
        made = domain.CancelOrder(*row)
    else:
        order_id, account, side, price, quantity, stays = row
        made = domain.NewOrder(
            *(order_id, account, domain.Side(side), price, quantity),
            tif=domain.TimeInForce.GTC if stays else domain.TimeInForce.IOC,
            stp=domain.SelfTradePrevention.NONE,
        )
    return domain.SequencedCommand(number, 0, made)


def main() -> None:
    gc.set_threshold(*map(int, sys.argv[1:]))
    rows = json.loads(sys.stdin.readline())
    commands = [command(number, row) for number, row in enumerate(rows, start=1)]
    for _ in sys.stdin:
        book = engine.MatchingEngine()
        gc.collect()  # of the book before
        process = book.process
        begun = time.process_time()
        for each in commands:
            process(each)
        rate = len(commands) / (time.process_time() - begun)
        print(json.dumps([rate, len(book.book.orders)]), flush=True)


if __name__ == "__main__":
    main()
