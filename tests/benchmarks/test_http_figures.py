"""What the benchmark of the whole service compares, and what it calls sustained."""

import pytest

from benchmarks.http_figures import Found, details, figures
from benchmarks.http_load import is_sustained


def run(rate: float, read: float | None = None, refused: int = 0) -> Found:
    found = Found()
    found.closed("POST", {"rate": rate, "p50": 2.0, "p99": 4.0, "refused": refused, "errors": 0})
    if read is not None:
        found.figures["GET, p99", "ms"] = read
    return found


def test_each_figure_is_beside_each_candidate_that_has_it():
    made = figures({"ours": [run(1_500, 9)], "before": [run(1_000, 18)], "peer": [run(2_000)]})
    assert [(figure.name, figure.unit, figure.baseline, figure.ratios()) for figure in made] == [
        ("POST, rate", "1/s", "before", {"ours": 1.5}),
        ("POST, rate", "1/s", "peer", {"ours": 0.75}),
        ("POST, p50", "ms", "before", {"ours": 1.0}),
        ("POST, p50", "ms", "peer", {"ours": 1.0}),
        ("POST, p99", "ms", "before", {"ours": 1.0}),
        ("POST, p99", "ms", "peer", {"ours": 1.0}),
        ("GET, p99", "ms", "before", {"ours": 0.5}),
    ]


def test_a_figure_that_no_other_candidate_has_is_ours_alone():
    *_, read = figures({"ours": [run(1_500, 9)], "peer": [run(2_000)]})
    assert (read.name, read.samples, read.baseline) == ("GET, p99", {"ours": [9]}, None)


def test_without_other_candidates_ours_has_figures_and_no_ratios():
    rate, *_ = figures({"ours": [run(1_500), run(1_000)]})
    assert (rate.samples, rate.ratios()) == ({"ours": [1_500, 1_000]}, {})


def test_refused_requests_are_told_of_each_run():
    found = details({"ours": [run(1), run(1, refused=3)]})
    assert found == {"ours": {"POST, refused or failed": [0, 3]}}


def test_the_processor_time_of_an_order_is_in_microseconds():
    found = Found()
    found.processor_time("64", {"API": 2.0, "PostgreSQL": 0.5}, 10_000)
    assert found.figures == {
        ("CPU of an order, 64, API", "us"): 200.0,
        ("CPU of an order, 64, PostgreSQL", "us"): 50.0,
    }


@pytest.mark.parametrize(
    ("rate", "refused", "sustained"), [(990.0, 0, True), (989.9, 0, False), (1_000.0, 1, False)]
)
def test_a_rate_is_sustained_if_all_is_taken_and_visible_in_time(rate, refused, sustained):
    assert is_sustained({"rate": rate, "refused": refused}, 1_000) is sustained
