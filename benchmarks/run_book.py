"""The order book in memory: 60 % limits, 30 % cancels, 10 % marketable, from a seed."""

import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks import book, plain_book
from benchmarks.measuring import Figure, Report, conditions, in_turns, output, publish


def rate(run: Callable[[list[book.Operation]], object], operations: list[book.Operation]) -> float:
    """Operations a second of the processor, which others may use as well."""
    begun = time.process_time()
    run(operations)
    return len(operations) / (time.process_time() - begun)


def measure(runs: int, operations: int) -> Report:
    made = book.operations(operations)
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
