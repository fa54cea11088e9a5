"""The order book in memory: 60 % limits, 30 % cancels, 10 % marketable, from a seed."""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks import book, plain_book
from benchmarks.measuring import Figure, Report, conditions, in_turns, output, publish
from interface.engine import tune_garbage_collection


def rate(run: Callable[[list[book.Operation]], object], operations: list[book.Operation]) -> float:
    """Operations a second of the processor, which others may use as well."""
    gc.collect()  # of the book before
    begun = time.process_time()
    made = run(operations)
    taken = time.process_time() - begun
    del made  # whose end is not measured
    return len(operations) / taken


def measure(runs: int, operations: int) -> Report:
    made = book.operations(operations)
    tune_garbage_collection()  # for all candidates
    samples = in_turns(
        runs,
        {"ours": lambda: rate(book.run, made), "plain": lambda: rate(plain_book.run, made)},
    )
    return Report(
        "book",
        {"runs": runs, "operations": operations},
        [Figure("book in memory", "operations/s", samples, "plain")],
        conditions(),
    )


@click.command()
@click.option("--runs", default=15, help="Of each candidate.")
@click.option("--operations", default=100_000, help="In a run.")
@output
def main(runs: int, operations: int, results: Path, *, as_json: bool) -> None:
    """Operations a second of the order book alone."""
    publish(measure(runs, operations), results, as_json=as_json)
