"""A small HTTP/1.1 client on asyncio, for load: it does what our service needs, no more.

A usual client takes as much time for a request as the service does for its answer, and both
run on the same cores. No usual load tool does a request that depends on the answer before.
"""

import asyncio
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header. Raises ValueError if it is not there."""
        start = self.headers.lower().index(b"\r\n" + name.lower().encode() + b": ")
        begin = start + len(name) + 4
        return self.headers[begin : self.headers.index(b"\r\n", begin)].decode()


class Connection(asyncio.Protocol):
    """One request at a time; the connection stays open."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return the answer. Raises ConnectionError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the service has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        head += b"\r\n"
        length = int(Answer(0, head, b"").header("content-length"))
        if len(rest) >= length and self._answer is not None:
            self._received = b""
            answer, self._answer = self._answer, None
            answer.set_result(Answer(int(head[9:12]), head, rest))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("no answer"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Client:
    """Connections to one address, opened as they are needed."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._address = (host, port)
        self._idle: list[Connection] = []

    async def ask(self, request: bytes) -> Answer:
        connection = self._idle.pop() if self._idle else await self._connect()
        while not connection.is_open:  # the service closes those that are idle for long
            connection = self._idle.pop() if self._idle else await self._connect()
        answer = await connection.ask(request)
        self._idle.append(connection)
        return answer

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, *self._address)
        return connection

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


def get(path: str, position: str | None = None) -> bytes:
    told = f"Position: {position}\r\n" if position else ""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{told}\r\n".encode()


def post(path: str, body: str, prefer: str | None = None) -> bytes:
    told = f"Prefer: {prefer}\r\n" if prefer else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{told}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
