"""`python -m benchmarks NAME`, which is also `ome bench NAME`."""

from importlib import import_module

import click

NAMES = ("pipeline", "http", "book", "replay", "growth")
_MODULES = {"http": "load", "book": "run_book"}


class Benchmarks(click.Group):
    """Each benchmark is a module; only the one that is asked for is imported."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in NAMES:
            return None
        command: click.Command = import_module(f"benchmarks.{_MODULES.get(name, name)}").main
        return command


if __name__ == "__main__":
    Benchmarks(help=__doc__)(prog_name="ome bench")
