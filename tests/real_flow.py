"""Real and reference order flow, kept beside the project: ``../shared/data``.

Only data that somebody else agreed on; tests that need it skip where it is absent.
Prices of the LOBSTER flow are USD x 10 000, its quantities are shares; prices of the
normal flow are ticks.
"""

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LOBSTER = DATA / "lobster_aapl_999"
NORMAL = DATA / "flow_normal_20k"

needs_real_flow = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real order flow is not in ../shared/data beside the project"
)


class ExpectedFill(NamedTuple):
    maker: str
    price: int
    quantity: int


@dataclass(frozen=True)
class LobsterCommand:
    """``row``: the row of the book that holds after the last command that names it."""

    op: str  # new | cancel
    order: str
    side: str = ""  # BUY | SELL
    price: int = 0
    quantity: int = 0
    time_in_force: str = ""  # GTC | IOC
    expect_fills: tuple[ExpectedFill, ...] = ()
    row: int | None = None
    seed: bool = False  # it was there at the start
    fixup: bool = False  # a correction for what the ten levels don't show

    @property
    def price_usd(self) -> Decimal:
        return Decimal(self.price).scaleb(-4)


class LobsterLevel(NamedTuple):
    price: int
    quantity: int


@dataclass(frozen=True)
class LobsterRow:
    """The ten best levels of each side, best first; fewer where there are no more."""

    bids: list[LobsterLevel] = field(default_factory=list)
    asks: list[LobsterLevel] = field(default_factory=list)


class LobsterFinalLevel(NamedTuple):
    price: int
    quantity: int
    orders: int


@dataclass(frozen=True)
class LobsterFinal:
    """The book at the end: the best levels with their counts, and how many orders in all."""

    bids: list[LobsterFinalLevel]
    asks: list[LobsterFinalLevel]
    open_orders: int


def lobster_commands() -> list[LobsterCommand]:
    return [
        LobsterCommand(
            op=line["op"],
            order=line["id"],
            side=line.get("side", ""),
            price=line.get("price", 0),
            quantity=line.get("qty", 0),
            time_in_force=line.get("tif", ""),
            expect_fills=tuple(ExpectedFill(*fill) for fill in line.get("expect_fills", ())),
            row=line.get("row"),
            seed=line.get("seed", False),
            fixup=line.get("fixup", False),
        )
        for line in _lobster_lines()
        if line["op"] != "final"
    ]


def lobster_final() -> LobsterFinal:
    (final,) = (line for line in _lobster_lines() if line["op"] == "final")
    return LobsterFinal(
        bids=[LobsterFinalLevel(*level) for level in final["bids"]],
        asks=[LobsterFinalLevel(*level) for level in final["asks"]],
        open_orders=final["open_orders"],
    )


def lobster_steps() -> Iterator[tuple[LobsterCommand, int | None]]:
    """Each command and the row to compare after it: at the last command that names a row."""
    commands = lobster_commands()
    for command, following in zip(commands, [*commands[1:], None], strict=True):
        complete = following is None or following.row != command.row
        yield command, command.row if complete else None


def lobster_rows() -> list[LobsterRow]:
    (path,) = LOBSTER.glob("*_orderbook_10.csv")
    with path.open(newline="") as file:
        return [_lobster_row([int(cell) for cell in row]) for row in csv.reader(file)]


def _lobster_row(cells: list[int]) -> LobsterRow:
    row = LobsterRow()
    for start in range(0, len(cells), 4):
        ask, ask_size, bid, bid_size = cells[start : start + 4]
        if ask != 9_999_999_999:
            row.asks.append(LobsterLevel(ask, ask_size))
        if bid != -9_999_999_999:
            row.bids.append(LobsterLevel(bid, bid_size))
    return row


def _lobster_lines() -> list[dict[str, Any]]:
    with _lines(LOBSTER / "commands.jsonl.gz") as file:
        return [json.loads(line) for line in file]


class NormalMessage(NamedTuple):
    seq: int
    op: str  # new | cancel | modify
    order: str
    side: str  # BUY | SELL
    price: int
    quantity: int
    ioc: bool


def normal_messages() -> list[NormalMessage]:
    with _lines(NORMAL / "normal-20k.csv.gz") as file:
        return [
            NormalMessage(
                seq=int(row["seq"]),
                op=row["op"],
                order=row["id"],
                side=row["side"],
                price=int(row["price"]),
                quantity=int(row["qty"]),
                ioc=row["ioc"] == "1",
            )
            for row in csv.DictReader(file)
        ]


def normal_reports() -> list[str]:
    """The expected reports, one a line, by message and then by kind."""
    with _lines(NORMAL / "normal-20k.reports.txt.gz") as file:
        return file.read().splitlines()


def _lines(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8", newline="")
