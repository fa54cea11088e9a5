"""The HTTP server as a process: what it makes of bytes, of signals, and of its parent's death."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from select import select
from threading import Thread

import httpx
import psutil
import pytest

from interface.http.body import MAX_BODY_BYTES
from interface.http.tokens import Token, decode, encode
from tests.http.support import Service, order, wait_for
from tests.kafka.program import free_port

pytestmark = pytest.mark.timeout(300)  # on a busy machine: it has to wait for much

BODY = json.dumps(order()).encode()
JSON = b"Content-Type: application/json\r\n"
SECONDS = 60  # for what takes a moment, where nothing else is to be done


@dataclass
class Server:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, request: bytes, upto: bytes | None = None) -> bytes:
        """What comes back on a connection of its own, until the server closes it, or ``upto``."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            with suppress(ConnectionError):  # who refuses what is too long may not read all of it
                connection.sendall(request)
            while upto is None or upto not in answer:
                try:
                    part = connection.recv(65536)
                except ConnectionResetError:
                    return answer
                if not part:
                    return answer
                answer += part
        return answer

    def status(self, request: bytes) -> int:
        return int(self.send(request, upto=b"\r\n").split(b" ", 2)[1])


@pytest.fixture(scope="module")
def module_server(unfollowed: Service) -> Iterator[Server]:
    yield from started(unfollowed)


@pytest.fixture
def server(stalled: Service) -> Iterator[Server]:
    yield from started(stalled)


def started(service: Service) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "tests.http.serving", str(port)]
    env = {**os.environ, **service.env, "MAX_LAG_SECONDS": "3600"}
    process = subprocess.Popen(command, env=env)
    server = Server(port, process)
    try:
        wait_for(lambda: answers(server.url))
        yield server
    finally:
        process.terminate()
        process.wait(SECONDS)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def chunked(*chunks: bytes) -> bytes:
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts)


LONG = b" " * (MAX_BODY_BYTES - len(BODY)) + BODY
HEAD = b"POST /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + JSON


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        (201, HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY),
        (201, HEAD + b"Content-Length: %d\r\n\r\n" % len(LONG) + LONG),
        (413, HEAD + b"Content-Length: %d\r\n\r\n" % (len(LONG) + 1) + LONG + b" "),
        (413, HEAD + b"Content-Length: 9999999999\r\n\r\n"),
        (413, HEAD + b"Content-Length: 9999999999\r\nExpect: 100-continue\r\n\r\n"),
        (201, HEAD + chunked(BODY[:10], BODY[10:], b"")),
        (201, HEAD + chunked(LONG[:500_000], LONG[500_000:], b"")),
        (413, HEAD + chunked(LONG, b" ", b"")),
        (413, HEAD + chunked(b" " * MAX_BODY_BYTES, BODY, b"")),
        (400, HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        (400, HEAD + b"Content-Length: -1\r\n\r\n"),
        (400, HEAD + b"Content-Length: one\r\n\r\n"),
        (400, HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}"),
        (400, HEAD + b"\r\n"),
        (415, b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"),
        (400, b"nonsense\r\n\r\n"),
        (200, b"GET /health HTTP/1.0\r\n\r\n"),
        (200, b"GET /health HTTP/1.1\r\n\r\n"),
        (200, b"GET /health HTTP/1.1\r\nHost: a b:99999999\r\n\r\n"),
        (200, b"GET /health HTTP/1.1\r\nHost: \xff\r\n\r\n"),
        (200, b"GET /health HTTP/1.1\r\nHost: a..b\r\n\r\n"),
        (
            200,
            b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        (200, b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"),
        (404, b"GET /%ff%00%2e%2e/etc HTTP/1.1\r\nHost: x\r\n\r\n"),
        (404, b"GET /orders/" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /orders?" + b"a=b&" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /orders HTTP/1.1\r\nHost: x\r\nPosition: \xff\r\n\r\n"),
        (431, b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 600_000 + b"\r\n\r\n"),
        (431, b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 500 + b"\r\n"),
        (405, b"FOO /orders HTTP/1.1\r\nHost: x\r\n\r\n"),
        (404, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
        (404, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ],
    ids=lambda value: str(value[:60]) if isinstance(value, bytes) else str(value),
)
def test_whatever_is_sent_has_an_answer_that_is_no_fault_of_ours(
    module_server: Server, status: int, request_bytes: bytes
) -> None:
    assert module_server.status(request_bytes) == status
    assert answers(module_server.url)


def test_a_body_that_ends_early_places_nothing(module_server: Server, unfollowed: Service) -> None:
    before = unfollowed.count_events()
    for request in (
        HEAD + b"Content-Length: %d\r\n\r\n" % (len(BODY) + 1) + BODY[:-1],
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY[:-1],
    ):
        with socket.create_connection(("127.0.0.1", module_server.port)) as connection:
            connection.sendall(request)
    assert answers(module_server.url)
    assert unfollowed.count_events() == before


def test_an_answer_has_no_body_where_only_its_head_was_asked(module_server: Server) -> None:
    answer = module_server.send(b"HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


def test_preferences_in_several_headers_count_as_one_list(module_server: Server) -> None:
    request = (
        b"POST /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nPrefer: respond-async\r\n"
        b"Prefer: wait=1\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    )
    start = time.monotonic()
    module_server.send(request)
    assert time.monotonic() - start > 0.8


def test_a_request_in_flight_is_answered_before_the_server_stops(
    server: Server, stalled: Service
) -> None:
    answered = []

    def place() -> None:
        with httpx.Client(trust_env=False, timeout=SECONDS) as client:
            answered.append(
                client.post(f"{server.url}/orders", json=order(), headers={"Prefer": "wait=2"})
            )

    thread = Thread(target=place)
    thread.start()
    stalled.until_recorded(1)
    server.process.send_signal(signal.SIGTERM)
    thread.join()
    assert answered[0].status_code == 201
    assert server.process.wait(SECONDS) == 0
    assert not answers(server.url)


def test_a_worker_does_not_outlive_its_parent(server: Server) -> None:
    [worker] = [
        child
        for child in psutil.Process(server.process.pid).children()
        if "tests.http.serving" in " ".join(child.cmdline())
    ]
    server.process.kill()
    server.process.wait()
    wait_for(lambda: has_ended(worker))
    assert not answers(server.url)


def test_a_server_without_its_worker_ends_for_somebody_to_start_it_again(server: Server) -> None:
    [worker] = psutil.Process(server.process.pid).children()
    worker.kill()
    assert server.process.wait(SECONDS) == 1


def test_a_body_that_is_too_large_ends_its_connection_with_a_problem(
    module_server: Server,
) -> None:
    """So that what is left of it is never taken for the next request."""
    for body in (
        b"Content-Length: %d\r\n\r\n" % (len(LONG) + 1) + LONG + b" ",
        chunked(LONG, b" " * 3_000_000, b""),
    ):
        answer = module_server.send(
            b"POST /orders HTTP/1.1\r\nHost: x\r\n" + JSON + body + b"GET /health HTTP/1.1\r\n\r\n"
        )
        head, _, document = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in head.lower()
        assert b"content-type: application/problem+json" in head.lower()
        assert json.loads(document)["detail"] == f"The body must be at most {MAX_BODY_BYTES} bytes"


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:-1],
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY[:-1],
    ],
    ids=["length", "chunks"],
)
def test_a_body_that_does_not_end_in_time_is_408_and_places_nothing(
    module_server: Server, unfollowed: Service, rest: bytes
) -> None:
    before = unfollowed.count_events()
    head, _, document = module_server.send(
        b"POST /orders HTTP/1.1\r\nHost: x\r\n" + JSON + rest
    ).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head.lower()
    assert json.loads(document)["detail"] == "The body did not come in 2 s; nothing was changed"
    assert unfollowed.count_events() == before


def test_a_body_in_chunks_that_breaks_off_is_told_and_places_nothing(
    module_server: Server, unfollowed: Service
) -> None:
    """Though what has come of it is a whole order."""
    before = unfollowed.count_events()
    answer = module_server.send(
        b"POST /orders HTTP/1.1\r\nHost: x\r\n" + JSON + chunked(BODY) + b"nonsense\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"breaks off" in answer
    with socket.create_connection(("127.0.0.1", module_server.port)) as connection:
        connection.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\n" + JSON + chunked(BODY))
    assert answers(module_server.url)
    assert unfollowed.count_events() == before


def test_requests_that_come_together_are_answered_in_their_order(module_server: Server) -> None:
    post = b"POST /orders HTTP/1.1\r\nHost: x\r\n" + JSON
    post += b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    answer = module_server.send(
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        + post
        + b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n"
        + post
        + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    statuses = [int(part[1:4]) for part in answer.split(b"HTTP/1.1")[1:]]
    assert statuses == [200, 201, 404, 201, 200]


def test_a_client_that_hangs_up_while_it_waits_leaves_its_place_and_its_order(
    server: Server, stalled: Service
) -> None:
    """The server of the tests lets two requests wait at a time; a third is answered at once."""
    length = b"Content-Length: %d\r\n\r\n" % len(BODY)
    request = b"POST /orders HTTP/1.1\r\nHost: x\r\nPrefer: wait=30\r\n" + JSON + length + BODY
    for events in range(0, 9, 3):
        waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
        for number, connection in enumerate(waiting, start=1):
            connection.sendall(request)
            stalled.until_recorded(events + number)
        # Were the places of the round before still taken, these two would be answered.
        assert select(waiting, [], [], 0.3)[0] == []
        assert server.status(request) == 201
        for connection in waiting:
            connection.close()
        assert stalled.count_events() == events + 3


def test_on_sigterm_waits_end_at_once_with_what_is_committed(
    server: Server, stalled: Service
) -> None:
    placed = stalled.client.post("/orders", json=order())
    path, position = placed.headers["Location"], placed.headers["Position"]
    stalled.follow()
    wait = {"Prefer": "wait=30"}
    results: dict[str, httpx.Response] = {}

    def ask(name: str, method: str, path: str, **more: object) -> None:
        with httpx.Client(trust_env=False, timeout=SECONDS) as client:
            results[name] = client.request(method, f"{server.url}{path}", **more)  # type: ignore[arg-type]

    later = encode(Token.POSITION, decode(Token.POSITION, position)[0] + 1)
    threads = [
        Thread(
            target=ask, args=("POST", "POST", "/orders"), kwargs={"json": order(), "headers": wait}
        ),
        Thread(target=ask, args=("DELETE", "DELETE", path), kwargs={"headers": wait}),
        Thread(target=ask, args=("GET", "GET", "/orders"), kwargs={"headers": {"Position": later}}),
    ]
    for thread in threads:
        thread.start()
    stalled.until_recorded(4)  # the order, its outcome, and what the two ask for
    time.sleep(0.5)  # and then they wait
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun < 8
    assert {name: result.status_code for name, result in results.items()} == {
        "POST": 201,
        "DELETE": 202,
        "GET": 503,
    }
    assert results["POST"].json()["status"] == "PENDING"
    assert server.process.wait(SECONDS) == 0
