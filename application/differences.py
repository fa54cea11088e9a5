"""Differences between stored and expected events, in one form for all verifications."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from application.deciding import decide
from application.persistence.connection import AWAY
from domain.errors import RejectReason
from domain.order_book import OrderBook
from domain.venue import Venue

Progress = Callable[[int], None]


class Inconsistent(Exception):
    """The first difference that was found, in a sentence."""


@contextmanager
def faults_are_differences(last: Callable[[], str]) -> Iterator[None]:
    """Report anything that can't be read, decided or applied as a difference."""
    try:
        yield
    except (Inconsistent, *AWAY):
        raise
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        raise Inconsistent(f"after {last()} of the log: {fault}") from error


def decide_again(
    book: OrderBook, position: int, command: Any, found: object, venue: Venue | None
) -> None:
    """Let the book decide a command, and compare with the decision that is stored."""
    if isinstance(found, OrderBook.Refused) and found.reason is RejectReason.INTERNAL_ERROR:
        # The error of that time need not occur now, and its consequence is known.
        book.refuse(position, command, found.reason)
    else:
        decide(book, position, command, venue)
    compare("Matching", found, *book.collect_events())


def compare(log: str, found: object, *expected: object) -> None:
    """Compare one stored event with the only one that was expected, or with none."""
    same(f"{log} log", found, expected[0] if expected else None)


def same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Inconsistent(f"{what}: stored is\n  {found}\nbut the log gives\n  {expected}")
