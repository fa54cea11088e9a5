"""A process that serves HTTP, for tests: python -m tests.http.serving PORT."""

import os
import sys

from interface.http.server import serve
from interface.settings import Settings

if __name__ == "__main__":
    serve(Settings(port=int(sys.argv[1]), http_threads=4), dict(os.environ))
