"""What the long load counts, and what it sends."""

import json
from random import Random

import pytest

from benchmarks.soak import decided_by_window, latencies, silent_seconds, stalled_seconds
from benchmarks.soak_history import placements
from benchmarks.soak_load import Load
from benchmarks.soak_memory import by_window


def test_seconds_without_a_decided_order_are_silent() -> None:
    assert silent_seconds({"0": 3, "2": 1, "9": 1}, 4) == [1, 3]


def test_seconds_in_which_the_control_did_not_commit_are_stalled() -> None:
    assert stalled_seconds([(0.1, 1.0), (0.9, 1.0), (3.0, 2_050.0)], 4) == [1, 2]


def test_latencies_are_those_of_the_parts_in_which_there_were_any() -> None:
    found = {"placed": [(8.0, 3.0), (8.5, 1.0)], "commits": [(0.0, 2.0), (8.9, 4.0)]}
    figures = {each.name: (each.samples, each.baseline) for each in latencies(found, 9)}
    assert figures["place -> decided, p50"] == ({"last 3 s": [1.0]}, None)
    assert figures["place -> decided, longest"] == ({"last 3 s": [3.0]}, None)
    both = {"first 3 s": [2.0], "last 3 s": [4.0]}
    assert figures["control's commit, p99"] == (both, "first 3 s")


def test_each_window_has_the_percentiles_of_the_orders_that_were_due_in_it() -> None:
    assert decided_by_window([(0.0, 3.0), (4.9, 1.0), (10.0, 7.0)], 5) == {
        "from 0 s": {"p50": 1.0, "p99": 3.0},
        "from 10 s": {"p50": 7.0, "p99": 7.0},
    }


def test_each_window_has_the_median_memory_of_each_process_from_the_beginning_on() -> None:
    samples = [(-1.0, {"api": 9.0}), (0.0, {"api": 1.0}), (4.0, {"api": 2.0}), (5.0, {"api": 4.0})]
    assert by_window(samples, 5) == {"from 0 s": {"api": 1.5}, "from 5 s": {"api": 4.0}}


def test_the_history_is_the_same_for_the_same_seed() -> None:
    first, second = (placements(Random(7), 10) for _ in range(2))
    for _ in range(100):
        assert next(first) == next(second)


@pytest.mark.parametrize("kind", ["place", "cancel", "amend", "read", "mass cancel"])
def test_a_request_is_one_that_the_service_reads(kind: str) -> None:
    load = Load(1, 80, 10, 1)
    load._open.append("550e8400-e29b-41d4-a716-446655440000")
    head, _, body = load._request(kind).partition(b"\r\n\r\n")
    assert head.split(b" ")[0] in {b"POST", b"DELETE", b"PATCH", b"GET"}
    if b"Content-Length" in head:
        assert f"Content-Length: {len(body)}".encode() in head
    if kind in {"place", "amend"}:
        assert json.loads(body)
