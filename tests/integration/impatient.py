"""`ome`, all of whose processes give up a silent database after 3 s instead of 30."""

import sys

from interface import cli, database, supervisor

IMPATIENT = (sys.executable, "-m", "tests.integration.impatient")
PATIENCE_SECONDS = 3

if __name__ in ("__main__", "__mp_main__"):  # the latter where a process is spawned
    database.usable_database.__kwdefaults__["patience"] = PATIENCE_SECONDS  # type: ignore[index]
    supervisor.run_all.__kwdefaults__["commands"] = {  # type: ignore[index]
        role: (*IMPATIENT, *command[command.index("order_matching_engine") + 1 :])
        for role, command in supervisor.COMMANDS.items()
    }

if __name__ == "__main__":
    cli.main()
