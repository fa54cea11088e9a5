"""The Flask application: its views are coroutines on one event loop."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from flask import Flask, Request
from werkzeug.routing import MapAdapter

# Keys of a request's environment. When it began, in monotonic seconds:
BEGUN: Final = "ome.begun"
# What returns an awaitable that ends when the client has gone:
GONE: Final = "ome.gone"

# What a view and an error handler return: body, status and headers, complete.
Answer: TypeAlias = tuple[bytes, int, Mapping[str, str]]


class Api(Flask):
    """An application whose routes are found by path and method alone.

    Its views run on ``loop``. In service that is where they are called, see dispatch; through
    WSGI, as Flask's test client does, a thread waits for the loop.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, static_folder=None)
        self.url_map.merge_slashes = False  # a path is right or unknown; nothing is redirected
        self._loop = loop

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Overridden: Flask's needs asgiref, and makes a loop for each request."""
        if not asyncio.iscoroutinefunction(func):
            return func

        def wait(**arguments: str) -> Any:
            # The loop takes over this thread's context, and with it the request.
            return asyncio.run_coroutine_threadsafe(func(**arguments), self._loop).result()

        return wait

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Overridden: Flask's takes the host apart, on which no route of ours depends."""
        return None if request is None else self.adapter(request)

    def adapter(self, request: Request) -> MapAdapter:
        """Return what finds the route of a request."""
        return MapAdapter(
            self.url_map,
            server_name="",
            script_name=request.root_path,
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
        )
