"""A process whose followers are fed from Kafka, until it is ended.

    python -m tests.integration.feeder WHAT

WHAT is JSON: the library's env, the settings, and the followers' names. After SIGUSR1 it hangs,
as by SIGSTOP, when it has sent PostgreSQL a recording and has not heard of it.
"""

import json
import os
import signal
import sys
from typing import Any

import psycopg

from interface.engine import Engine
from interface.kafka import consuming
from interface.settings import Settings


def hang_in_recording(*_: object) -> None:
    """Stop while the next recording is under way: it is done, whoever is left to hear of it."""
    execute = psycopg.Cursor.execute
    wait = psycopg.Connection.wait

    def hang(connection: Any, *args: Any, **options: Any) -> Any:
        psycopg.Connection.wait = wait  # type: ignore[method-assign]
        os.kill(os.getpid(), signal.SIGSTOP)
        return wait(connection, *args, **options)

    def notice(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        if "events_record" in str(query):
            psycopg.Connection.wait = hang  # type: ignore[assignment]
        return execute(cursor, query, *args, **options)

    psycopg.Cursor.execute = notice  # type: ignore[assignment]


def main() -> None:
    what = json.loads(sys.argv[1])
    settings, names = Settings.model_validate(what["settings"]), what["names"]
    os.environ["PGAPPNAME"] = "feeder"
    engine = Engine(what["env"], names=names, make=consuming(settings, names))
    signal.signal(signal.SIGTERM, lambda *_: engine.stop())
    signal.signal(signal.SIGUSR1, hang_in_recording)
    engine.start()
    print("started", flush=True)
    engine.join()


if __name__ == "__main__":
    main()
