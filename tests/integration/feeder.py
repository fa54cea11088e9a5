"""A process whose followers are fed from Kafka, until it is ended.

    python -m tests.integration.feeder WHAT

WHAT is JSON: the library's env, the settings, and the followers' names. After SIGUSR1 it hangs,
as by SIGSTOP, in the middle of a transaction.
"""

import json
import os
import signal
import sys
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from interface.engine import Engine
from interface.kafka import consuming
from interface.settings import Settings


def hang_in_transaction(*_: object) -> None:
    """Before the next word in a transaction: it holds what it locks, and has not committed."""
    wait = psycopg.Connection.wait

    def hang(connection: Any, *args: Any, **options: Any) -> Any:
        if connection.info.transaction_status is TransactionStatus.INTRANS:
            os.kill(os.getpid(), signal.SIGSTOP)
        return wait(connection, *args, **options)

    psycopg.Connection.wait = hang  # type: ignore[assignment]


def main() -> None:
    what = json.loads(sys.argv[1])
    settings, names = Settings.model_validate(what["settings"]), what["names"]
    os.environ["PGAPPNAME"] = "feeder"
    engine = Engine(what["env"], names=names, make=consuming(settings, names))
    signal.signal(signal.SIGTERM, lambda *_: engine.stop())
    signal.signal(signal.SIGUSR1, hang_in_transaction)
    engine.start()
    print("started", flush=True)
    engine.join()


if __name__ == "__main__":
    main()
