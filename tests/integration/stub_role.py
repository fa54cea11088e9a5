"""Stands in for the engine, the HTTP server and the traders.

Writes its pid into the directory PIDS, as a file <role>.<pid>.
"""

import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from interface.child import tell_supervisor
from interface.errors import DATABASE_UNUSABLE
from interface.process import die_with_supervisor


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


class Server(HTTPServer):
    def server_bind(self) -> None:
        # As the real one does.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)


def engine() -> None:
    while True:
        time.sleep(60)


def api() -> None:
    Server((os.environ["HOST"], int(os.environ["PORT"])), Health).serve_forever()


def unusable() -> None:
    tell_supervisor("the tables are of a newer release")
    sys.exit(DATABASE_UNUSABLE)


def failing() -> None:
    sys.exit("last words of the engine")


if __name__ == "__main__":
    role = sys.argv[1]
    if role == "deaf":  # before anybody knows of it
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(os.environ["PIDS"], f"{role}.{os.getpid()}").touch()
    die_with_supervisor()
    roles = {"engine": engine, "api": api, "deaf": engine}
    (roles | {"failing": failing, "unusable": unusable})[role]()
