"""The order book in memory: 60 % limits, 30 % cancels, 10 % marketable, from a seed.

Ours can do all order types, this plain workload has limit orders and cancels. The plain book is one
function. The peer's (peer.py) runs in its own process and Python; it makes its events as well.
"""

import gc
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks import book, plain_book
from benchmarks.measuring import Figure, Report, conditions, in_turns, output, publish
from benchmarks.peer import Peer, encoded, peer_options
from benchmarks.running import Child
from interface.engine import tune_garbage_collection


def rate(run: Callable[[list[book.Operation]], object], operations: list[book.Operation]) -> float:
    """Operations a second of the processor, which others may use as well."""
    gc.collect()  # of the book before
    begun = time.process_time()
    made = run(operations)
    taken = time.process_time() - begun
    del made  # whose end is not measured
    return len(operations) / taken


def peer_rate(child: Child, resting: int) -> float:
    """Return the peer's rate. Raises RuntimeError if its book does not end as ours."""
    child.say("run")
    found: float
    found, rests = json.loads(child.hear())
    if rests != resting:
        raise RuntimeError(f"{rests} orders rest in the peer's book, {resting} in ours")
    return found


def measure(runs: int, operations: int, *, peer: bool, peer_python: str | None) -> Report:
    made = book.operations(operations)
    tune_garbage_collection()  # for all candidates
    candidates = {
        "ours": lambda: rate(book.run, made),
        "plain": lambda: rate(plain_book.run, made),
    }
    with ExitStack() as stack:
        package = stack.enter_context(Peer.if_there(peer_python)) if peer else None
        if package:
            child = stack.enter_context(
                package.child("benchmarks.peer_book", *map(str, gc.get_threshold()))
            )
            child.say(encoded(made))
            resting = len(book.run(made).orders)
            candidates["peer"] = lambda: peer_rate(child, resting)
        samples = in_turns(runs, candidates)
    return Report(
        "book",
        {"runs": runs, "operations": operations},
        [
            Figure("book in memory", "operations/s", {"ours": samples["ours"], name: of}, name)
            for name, of in samples.items()
            if name != "ours"
        ],
        conditions(),
        {"peer": package.conditions if package else "not measured"},
    )


@click.command()
@click.option("--runs", default=15, help="Of each candidate.")
@click.option("--operations", default=100_000, help="In a run.")
@peer_options
@output
def main(results: Path, *, as_json: bool, **settings: Any) -> None:
    """Operations a second of the order book alone."""
    publish(measure(**settings), results, as_json=as_json)
