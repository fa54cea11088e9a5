"""The common parts of benchmarks: turns, medians, conditions, and reports."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import psycopg

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

T = TypeVar("T")

_LIBRARIES = ("eventsourcing", "psycopg", "msgspec", "flask", "granian")
# The average number of processes that wanted a core, in the minute before we began.
_LOAD_BEFORE = os.getloadavg()[0]
_POSTGRES = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


class Figure(NamedTuple):
    """One thing measured, several times, of one candidate or of several that took turns."""

    name: str
    unit: str
    samples: Mapping[str, Sequence[float]]  # by candidate
    baseline: str | None = None  # the candidate that the others are a ratio of

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.samples.items()}

    def ratios(self) -> dict[str, float]:
        """Of the medians to the baseline's."""
        medians = self.medians()
        if self.baseline is None:
            return {}
        base = medians[self.baseline]
        return {name: value / base for name, value in medians.items() if name != self.baseline}


class Report(NamedTuple):
    """The results of a benchmark, and its settings."""

    name: str
    settings: Mapping[str, Any]
    figures: Sequence[Figure]
    conditions: Mapping[str, Any]
    details: Mapping[str, Any] = {}  # what explains the figures

    def as_dict(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "settings": dict(self.settings),
            "figures": [
                {
                    "name": figure.name,
                    "unit": figure.unit,
                    "median": _rounded(figure.medians()),
                    "baseline": figure.baseline,
                    "ratio": _rounded(figure.ratios()),
                    "samples": {
                        name: [_round(v) for v in of] for name, of in figure.samples.items()
                    },
                }
                for figure in self.figures
            ],
            "details": dict(self.details),
            "conditions": dict(self.conditions),
        }


def in_turns(runs: int, candidates: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run all candidates one after the other, again and again: all have the same minutes."""
    results: dict[str, list[T]] = {name: [] for name in candidates}
    for number in range(1, runs + 1):
        for name, run in candidates.items():
            tell(f"run {number} of {runs}: {name}")
            results[name].append(run())
    return results


def conditions(connection: psycopg.Connection[Any] | None = None) -> dict[str, Any]:
    """Return the conditions of the figures; PostgreSQL's part is what it says itself."""
    found: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(ROOT),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load before": _LOAD_BEFORE,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    if connection is not None:
        shown = {name: connection.execute(f"SHOW {name}").fetchone() for name in _POSTGRES}
        found["postgresql"] = {name: row[0] for name, row in shown.items() if row}
    return found


def publish(report: Report, results: Path, *, as_json: bool) -> None:
    """Print a report, and keep it: as JSON, and as a plot beside it."""
    from benchmarks.plotting import plot  # noqa: PLC0415 - matplotlib takes a second to import

    found = report.as_dict()
    results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=2)
    (results / f"{report.name}.json").write_text(text + "\n")
    plot(report, results / f"{report.name}.png")
    print(text if as_json else in_words(report))


def in_words(report: Report) -> str:
    lines = [f"{report.name}: " + _words(report.settings)]
    for figure in report.figures:
        ratios = figure.ratios()
        for candidate, median in figure.medians().items():
            values = figure.samples[candidate]
            line = f"  {figure.name:38} {candidate:15} {number(median):>10} {figure.unit}"
            if len(values) > 1:
                line += f"  ({number(min(values))} to {number(max(values))}, {len(values)} runs)"
            if candidate in ratios:
                line += f"  {ratios[candidate]:.3g} of {figure.baseline}"
            lines.append(line)
    lines += [f"  {name}: {_words(value)}" for name, value in report.details.items()]
    lines += [f"  {name}: {_words(value)}" for name, value in report.conditions.items()]
    return "\n".join(lines)


def output(command: Callable[..., None]) -> Callable[..., None]:
    """The options of all benchmarks: ``results`` and ``as_json``."""
    directory = click.Path(file_okay=False, path_type=Path)
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(
        command
    )
    return click.option(
        "--results", type=directory, default=RESULTS, help="Where JSON and plot are kept."
    )(command)


def tell(text: str) -> None:
    """Say on standard error what is being done."""
    click.echo(text, file=sys.stderr)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of the values don't exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(int(rank), 1) - 1]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_words, value))}]"
    return number(value) if isinstance(value, float) else str(value)


def number(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.3g}"


def _round(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) < 10_000 else round(value)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: _round(value) for name, value in values.items()}


def commit(checkout: Path) -> str | None:
    """The commit of a checkout; a plus where files differ from it. None: not in git."""
    git = ["git", "-C", str(checkout)]
    try:
        known = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", ":!benchmarks/results"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return known.stdout.strip() + ("+" if changed.stdout else "")


def _cpu() -> str:
    """The model; the flags of the kernel tell it on Linux only."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
