"""A process whose followers are fed from Kafka, until it is ended.

    python -m tests.integration.feeder WHAT

WHAT is JSON: the library's env, the settings, and the followers' names.
"""

import json
import os
import signal
import sys

from interface.engine import Engine
from interface.kafka import consuming
from interface.settings import Settings


def main() -> None:
    what = json.loads(sys.argv[1])
    settings, names = Settings.model_validate(what["settings"]), what["names"]
    os.environ["PGAPPNAME"] = "feeder"
    engine = Engine(what["env"], names=names, make=consuming(settings, names))
    signal.signal(signal.SIGTERM, lambda *_: engine.stop())
    engine.start()
    print("started", flush=True)
    engine.join()


if __name__ == "__main__":
    main()
