"""What a run over HTTP finds, and the figures of several candidates that took turns."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measuring import Figure, percentile


class Found:
    """The findings of a run: figures by name and unit, and what explains them."""

    def __init__(self) -> None:
        self.figures: dict[tuple[str, str], float] = {}
        self.details: dict[str, float] = {}

    def closed(self, name: str, found: Mapping[str, Any]) -> None:
        """Add the results of a closed loop."""
        self.figures[f"{name}, rate", "1/s"] = found["rate"]
        self.figures[f"{name}, p50", "ms"] = found["p50"]
        self.figures[f"{name}, p99", "ms"] = found["p99"]
        self.details[f"{name}, refused or failed"] = found["refused"] + found["errors"]

    def processor_time(self, name: str, parts: Mapping[str, float], orders: int) -> None:
        """Add the processor time of an order, given the seconds of each part."""
        for part, seconds in parts.items():
            self.figures[f"CPU of an order, {name}, {part}", "us"] = seconds / orders * 1e6

    def opened(self, rate: int, found: Mapping[str, Any]) -> None:
        """Add the results of the open loop."""
        for name, part in (("POST", "posted"), ("POST -> fill visible", "filled")):
            for percent in ("p50", "p99", "p99.9"):
                self.figures[f"{name}, {rate}/s, {percent}", "ms"] = found[part][percent]
        self.details |= {
            "open loop, sustained": found["sustained"],
            "open loop, orders/s until filled": found["rate"],
            "open loop, refused": found["refused"],
            "open loop, looked too early": found["early"],
            "open loop, cores of the generator": found["cpu"],
        }

    def waited(self, waits: Sequence[float], commits: Sequence[float]) -> None:
        """Add the milliseconds of requests with `Prefer: wait`, and of bare commits."""
        for percent in (50, 99):
            wait, bare = percentile(waits, percent), percentile(commits, percent)
            self.figures[f"Prefer: wait, p{percent}", "ms"] = wait
            self.figures[f"bare commit, p{percent}", "ms"] = bare
            self.figures[f"Prefer: wait, p{percent}", "bare commits"] = wait / bare


def figures(found: Mapping[str, Sequence[Found]]) -> list[Figure]:
    """Return all that was measured of ours: beside each candidate that has the same, or alone."""
    made = []
    for key in found["ours"][0].figures:
        others = [name for name, runs in found.items() if key in runs[0].figures][1:]
        baselines: list[str | None] = [*others] or [None]
        for baseline in baselines:
            samples = {
                name: [one.figures[key] for one in found[name]]
                for name in ("ours", baseline)
                if name
            }
            made.append(Figure(*key, samples, baseline))
    return made


def details(found: Mapping[str, Sequence[Found]]) -> dict[str, dict[str, list[float]]]:
    """Return what explains the figures, of each candidate in each run."""
    return {
        candidate: {name: [one.details[name] for one in runs] for name in runs[0].details}
        for candidate, runs in found.items()
    }
