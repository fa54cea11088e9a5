"""What a worker that can't go on says, when it says so, and in which words."""

from typing import Any

import psycopg
import pytest

from application.persistence.error_words import in_words
from application.persistence.standstills import WorkerState


class Table:
    """Standstills in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    def note(self, worker: str, reason: str, position: int | None, seconds: float) -> None:
        self.rows[worker] = (reason, position, round(seconds))

    def clear(self, worker: str) -> None:
        self.rows.pop(worker, None)


@pytest.fixture
def table() -> Any:
    return Table()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: time[0])
    return time


def test_a_reason_that_may_pass_is_said_when_it_has_lasted(table: Any, now: list[float]) -> None:
    state = WorkerState(table, "worker")
    state.fails("Kafka is away")
    assert table.rows == {}
    now[0] += 5
    state.fails("Kafka is away", position=7)
    assert table.rows == {"worker": ("Kafka is away", 7, 5)}


def test_a_reason_that_lasts_is_said_at_once_and_taken_back(table: Any, now: list[float]) -> None:
    state = WorkerState(table, "worker")
    state.fails("too large", is_lasting=True)
    assert table.rows == {"worker": ("too large", None, 0)}
    state.works()
    assert table.rows == {}


def test_a_row_of_the_process_before_is_removed_by_whoever_works(
    table: Any, now: list[float]
) -> None:
    table.note("worker", "too large", 7, 0)
    WorkerState(table, "worker").works()
    assert table.rows == {}


def test_a_row_that_others_have_removed_is_written_again(table: Any, now: list[float]) -> None:
    state = WorkerState(table, "worker")
    state.fails("too large", is_lasting=True)
    table.clear("worker")
    now[0] += 5
    state.fails("too large", is_lasting=True)
    assert table.rows == {"worker": ("too large", None, 5)}


def test_a_new_reason_is_said_at_once_where_it_failed_before(table: Any, now: list[float]) -> None:
    state = WorkerState(table, "worker")
    state.fails("Kafka is away")
    now[0] += 6
    state.fails("there is no topic")
    assert table.rows == {"worker": ("there is no topic", None, 6)}


def test_an_error_of_postgresql_is_told_without_its_statement() -> None:
    error = RuntimeError("value too long\nLINE 1: INSERT INTO secret")
    error.__cause__ = psycopg.errors.NumericValueOutOfRange("INSERT INTO secret VALUES (1)")
    assert in_words(error) == ("RuntimeError: numeric value out of range (SQLSTATE 22003)")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ArithmeticError("no"), "ArithmeticError: no"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError(""), "ValueError"),
        (ValueError("x" * 300), f"ValueError: {'x' * 200}…"),
    ],
)
def test_any_other_error_is_told_in_its_first_line(error: Exception, words: str) -> None:
    assert in_words(error) == words
