"""The plot of a report: bars of the medians, with every run as a dot."""

from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.measuring import Report, number


def plot(report: Report, path: Path) -> None:
    """Draw one panel a figure, side by side."""
    count = len(report.figures)
    canvas = Canvas(figsize=(3.2 * count + 0.6, 3.6), layout="constrained")
    for panel, figure in zip(
        canvas.subplots(1, count, squeeze=False)[0], report.figures, strict=True
    ):
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
