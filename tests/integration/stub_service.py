"""The supervisor over stubs of the engine, the HTTP server and the traders."""

import os
import sys

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
    configure_logs("INFO")
    sys.exit(run_all(load_settings(), demo="--demo" in sys.argv, commands=commands))
