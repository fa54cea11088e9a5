"""The edge of an HTTP worker: granian calls it with requests, in the form of RSGI."""

import asyncio
import io
import os
import signal
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined]

from interface.http.api import BEGUN, GONE, Answer
from interface.http.body import read_body
from interface.http.dispatch import Dispatcher
from interface.http.limits import Limits
from interface.http.problems import Problem
from interface.http.worker import Worker

_ENVIRON: Final = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": "",
    "SERVER_PORT": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
    "wsgi.input_terminated": True,
}
# The server leaves out a value that is not text; whoever wants the header learns of it by this.
_NO_TEXT: Final = "\xff"


class Front:
    """An RSGI application: the body is read, then the view is called, all on one event loop."""

    def __init__(
        self, worker: Worker, dispatcher: Dispatcher, limits: Limits, close: Callable[[], None]
    ) -> None:
        """``close`` is called at the very end."""
        self._worker = worker
        self._dispatcher = dispatcher
        self._limits = limits
        self._close = close

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._worker.start(loop)
        # The server waits for requests in flight, and has no word for the moment before. It takes
        # both signals as one.
        loop.add_signal_handler(signal.SIGTERM, self._end)

    def _end(self) -> None:
        self._worker.bell.end_waits()
        os.kill(os.getpid(), signal.SIGINT)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self._worker.stop())
        self._close()

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        begun = time.monotonic()
        try:
            environ = _environ(scope)
            body = await read_body(environ, protocol, self._limits.body_seconds)
            environ["wsgi.input"] = io.BytesIO(body)
            environ[BEGUN] = begun
            environ[GONE] = protocol.client_disconnect
            answer = await self._answer(environ)
        except Problem as problem:
            answer = problem.answer()
        except ProtocolClosed:
            return  # the client has gone
        _send(protocol, scope.method, answer)

    async def _answer(self, environ: dict[str, Any]) -> Answer:
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                return await self._dispatcher.answer(environ)
        except TimeoutError:
            raise Problem(
                503,
                f"The request took longer than {self._limits.request_seconds:g} s; if it changes"
                " something, its outcome is unknown: ask again",
            ) from None


def _environ(scope: Scope) -> dict[str, Any]:
    """Return the environment of WSGI, in which Flask has its requests."""
    path = scope.path
    environ = {
        **_ENVIRON,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": path if path.isascii() else path.encode().decode("latin1"),
        "QUERY_STRING": scope.query_string,
    }
    headers = scope.headers
    for name, value in headers.items():
        key = _key(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    for name in headers.keys():  # noqa: SIM118 - it is no dictionary
        environ.setdefault(_key(name), _NO_TEXT)
    return environ


@lru_cache(1024)
def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def _send(protocol: HTTPProtocol, method: str, answer: Answer) -> None:
    body, status, headers = answer
    if method == "HEAD":
        headers = {**headers, "Content-Length": str(len(body))}
        body = b""
    protocol.response_bytes(status, list(headers.items()), body)
