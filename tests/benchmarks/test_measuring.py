"""Medians, ratios and percentiles, and what is told and kept."""

import json
from itertools import count

import pytest

from benchmarks.measuring import Figure, Report, in_turns, in_words, percentile, publish

FIGURE = Figure("speed", "orders/s", {"ours": [90, 60, 80], "raw": [100, 300, 160]}, "raw")
REPORT = Report("trial", {"runs": 3}, [FIGURE], {"cpu": "one"}, {"where": {"engine": 2.5}})


def test_a_ratio_is_that_of_the_medians_to_the_baseline():
    assert FIGURE.medians() == {"ours": 80, "raw": 160}
    assert FIGURE.ratios() == {"ours": 0.5}


def test_without_a_baseline_there_are_no_ratios():
    assert FIGURE._replace(baseline=None).ratios() == {}


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (1, 1), (50, 50), (99, 99), (99.9, 100), (100, 100)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(percent, value):
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_the_percentiles_of_one_value_are_that_value():
    assert [percentile([7], percent) for percent in (0, 50, 99.9, 100)] == [7, 7, 7, 7]


def test_candidates_take_turns():
    calls = count(1)
    results = in_turns(2, {"a": lambda: next(calls), "b": lambda: next(calls)})
    assert results == {"a": [1, 3], "b": [2, 4]}


def test_a_report_in_words_tells_medians_spread_and_ratio():
    lines = in_words(REPORT).splitlines()
    assert lines[0] == "trial: runs 3"
    assert lines[1].split() == [
        *("speed", "ours", "80", "orders/s", "(60", "to", "90,", "3", "runs)"),
        *("0.5", "of", "raw"),
    ]
    assert lines[3:] == ["  where: engine 2.5", "  cpu: one"]


def test_a_detail_of_each_run_is_told_in_as_many_digits_as_a_figure():
    report = REPORT._replace(details={"rates": [2.3456, 1234.5], "silent": []})
    assert in_words(report).splitlines()[3:5] == ["  rates: [2.35, 1 234]", "  silent: []"]


def test_a_report_is_printed_as_json_and_kept_with_its_plot(tmp_path, capsys):
    publish(REPORT, tmp_path, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "trial.json").read_text())
    assert printed["figures"] == [
        {
            "name": "speed",
            "unit": "orders/s",
            "median": {"ours": 80, "raw": 160},
            "baseline": "raw",
            "ratio": {"ours": 0.5},
            "samples": {"ours": [90, 60, 80], "raw": [100, 300, 160]},
        }
    ]
    assert (tmp_path / "trial.png").read_bytes().startswith(b"\x89PNG")
