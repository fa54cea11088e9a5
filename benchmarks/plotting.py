"""The plot of a report: bars of the medians, with every run as a dot."""

from itertools import zip_longest
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.measuring import Report, number

_COLUMNS = 6


def plot(report: Report, path: Path) -> None:
    """Draw one panel a figure, side by side and in rows."""
    columns = min(len(report.figures), _COLUMNS)
    rows = -(-len(report.figures) // columns)  # rounded up
    canvas = Canvas(figsize=(3.2 * columns + 0.6, 3.6 * rows), layout="constrained")
    panels = canvas.subplots(rows, columns, squeeze=False).flat
    for panel, figure in zip_longest(panels, report.figures):
        if figure is None:  # the last row is not full
            panel.remove()
            continue
        medians = figure.medians()
        bars = panel.bar(list(medians), list(medians.values()), color="#8fb4d9", width=0.6)
        panel.bar_label(bars, fmt=number, padding=2)
        for place, name in enumerate(medians):
            values = figure.samples[name]
            panel.plot([place] * len(values), values, ".", color="#1f3a5f", alpha=0.6)
        panel.set_title(figure.name, fontsize=10)
        panel.set_ylabel(figure.unit)
        panel.set_ylim(bottom=0)
        panel.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, dpi=110)
