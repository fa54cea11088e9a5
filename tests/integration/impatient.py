"""`ome` with short waits, in all its processes.

A connection that nobody needs is closed after 1 s instead of 10, and a database that does not
answer is given up after 3 s instead of 30.
"""

import sys

from application.persistence import datastore
from interface import cli, database, supervisor

IMPATIENT = (sys.executable, "-m", "tests.integration.impatient")
PATIENCE_SECONDS = 3

if __name__ in ("__main__", "__mp_main__"):  # the latter where a process is spawned
    datastore._IDLE_SECONDS = 1.0  # type: ignore[misc]
    database.usable_database.__kwdefaults__["patience"] = PATIENCE_SECONDS  # type: ignore[index]
    supervisor.run_all.__kwdefaults__["commands"] = {  # type: ignore[index]
        role: (*IMPATIENT, *command[command.index("order_matching_engine") + 1 :])
        for role, command in supervisor.COMMANDS.items()
    }

if __name__ == "__main__":
    cli.main()
