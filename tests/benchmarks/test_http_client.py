"""The client of the load generator, against a server that cuts its answers into pieces."""

import asyncio
from typing import Any

import pytest

from benchmarks.http_client import Client, get, post

ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nPosition: abc\r\nLocation: /orders/1\r\n\r\nbody"
)


def asked(request, pieces, times=1):
    """The answers to a request, what the server read, and how many connections it saw."""
    read = []
    connections = 0
    served: list[Any] = []

    async def serve(reader, writer):
        nonlocal connections
        connections += 1
        served.append(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0] or 0)
                read.append(head + await reader.readexactly(length))
                if not pieces:
                    break
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0.001)
        except asyncio.IncompleteReadError:
            pass
        writer.close()
        await writer.wait_closed()

    async def ask():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = Client(server.sockets[0].getsockname()[1])
        try:
            return [await client.ask(request) for _ in range(times)]
        finally:
            client.close()
            await asyncio.gather(*served)
            server.close()
            await server.wait_closed()

    return asyncio.run(ask()), read, connections


@pytest.mark.parametrize("cut", [1, 30, 60, len(ANSWER) - 2, len(ANSWER)])
def test_an_answer_is_read_however_it_arrives(cut):
    [answer], _, _ = asked(get("/x"), [ANSWER[:cut], ANSWER[cut:]])
    assert (answer.status, answer.body) == (201, b"body")
    assert (answer.header("position"), answer.header("location")) == ("abc", "/orders/1")


def test_a_connection_is_used_again():
    answers, _, connections = asked(get("/x"), [ANSWER], times=3)
    assert [answer.status for answer in answers] == [201, 201, 201]
    assert connections == 1


def test_what_is_asked_is_plain_http():
    _, [read], _ = asked(post("/orders", "{}", "wait=10"), [ANSWER])
    assert read == (
        b"POST /orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        b"Prefer: wait=10\r\nContent-Length: 2\r\n\r\n{}"
    )
    _, [read], _ = asked(get("/orders/1", "abc"), [ANSWER])
    assert read == b"GET /orders/1 HTTP/1.1\r\nHost: bench\r\nPosition: abc\r\n\r\n"


def test_a_connection_that_ends_without_an_answer_is_an_error():
    with pytest.raises(ConnectionError):
        asked(get("/x"), [])
