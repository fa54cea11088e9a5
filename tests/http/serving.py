"""A process that serves HTTP, for tests: python -m tests.http.serving PORT."""

import os
import sys

from interface.http.server import serve
from interface.settings import Settings

if __name__ == "__main__":
    settings = Settings(
        port=int(sys.argv[1]),
        http_threads=4,
        http_prefer_waits=2,
        http_body_seconds=2,
        read_wait_seconds=30,
    )
    serve(settings, dict(os.environ))
