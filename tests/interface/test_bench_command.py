"""`ome bench` hands on to the benchmarks, which are in a checkout only."""

import os
import sys
from pathlib import Path

from click.testing import CliRunner

from interface import cli


def test_it_becomes_the_benchmark_with_all_its_options(monkeypatch):
    became = []
    monkeypatch.setattr(os, "execv", lambda *command: became.append(command))
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    CliRunner().invoke(cli.main, ["bench", "book", "--runs", "1", "--json"])
    arguments = [sys.executable, "-P", "-m", "benchmarks", "book", "--runs", "1", "--json"]
    assert became == [(sys.executable, arguments)]
    assert os.environ["PYTHONPATH"] == str(Path(cli.__file__).parents[1])


def test_outside_of_a_checkout_it_says_where_to_run_it(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "interface" / "cli.py"))
    result = CliRunner().invoke(cli.main, ["bench", "book"])
    assert result.exit_code == 1
    assert "run it in a checkout" in result.output
