"""The supervisor over stubs of the engine, the HTTP server and the traders.

STOP_SECONDS is how long a process may take to stop, ENDING_SECONDS how soon it has to end to
count as one that cannot work: what a test is not about, it gives more time than anything takes.
"""

import os
import sys

from interface import child
from interface.logs import configure_logs
from interface.settings import load_settings
from interface.supervisor import run_all


def command(role: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.integration.stub_role", role)


if __name__ == "__main__":
    commands = {
        "engine": command(os.environ.get("ENGINE", "engine")),
        "api": command("api"),
        "traders": command("engine"),
    }
    child._STOP_TIMEOUT = float(os.environ.get("STOP_SECONDS", child._STOP_TIMEOUT))  # type: ignore[misc]
    child.Endings.SECONDS = float(os.environ.get("ENDING_SECONDS", child.Endings.SECONDS))  # type: ignore[misc]
    configure_logs("INFO")
    sys.exit(run_all(load_settings(), demo="--demo" in sys.argv, commands=commands))
