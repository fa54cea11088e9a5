"""`python -m benchmarks NAME`, which is also `ome bench NAME`."""

import signal
import sys
from importlib import import_module

import click

from tests.kafka.runtime import NoKafka

NAME = "ome bench"
MODULES = {
    "pipeline": "pipeline",
    "http": "run_http",
    "book": "run_book",
    "replay": "replay",
    "growth": "growth",
    "assets": "all_assets",
    "kafka": "kafka",
    "shards": "shards",
    "soak": "soak",
}

_LONG = ("soak",)  # an hour with its history: only by its name


class Benchmarks(click.Group):
    """Each benchmark is a module; only the one that is asked for is imported."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return [*MODULES, "all"]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name == "all":
            return click.Command(name, callback=self.run_all, help="All that take minutes.")
        if name not in MODULES:
            return None
        command: click.Command = import_module(f"benchmarks.{MODULES[name]}").main
        return command

    def run_all(self) -> None:
        for name in MODULES:
            if name in _LONG:
                continue
            try:
                self.main([name], prog_name=NAME, standalone_mode=False)
            except NoKafka as missing:
                click.echo(
                    f"{name}: not run, there is no Kafka. What would do: {missing}", err=True
                )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leaves in order
    Benchmarks(help=__doc__)(prog_name=NAME)
