import socket
from contextlib import closing

import pytest

from interface.port import PortInUse, base_url, reserve_port


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def listener(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Binds as the HTTP server does."""
    server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind((host, port))
    server.listen()
    return server


def has_ipv6() -> bool:
    try:
        free_port("::1")
    except OSError:
        return False
    return True


HOSTS = [
    "127.0.0.1",
    pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")),
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_second_copy_cannot_reserve_the_port_before_anybody_listens(host):
    port = free_port(host)
    with reserve_port(host, port), pytest.raises(PortInUse, match=f"Port {port} on {host} is in"):
        reserve_port(host, port)


@pytest.mark.parametrize("host", HOSTS)
def test_a_second_copy_cannot_reserve_the_port_while_the_server_listens(host):
    port = free_port(host)
    with reserve_port(host, port), listener(port, host), pytest.raises(PortInUse):
        reserve_port(host, port)


@pytest.mark.parametrize("host", HOSTS)
def test_no_connection_goes_to_the_reservation(host):
    port = free_port(host)
    with reserve_port(host, port), listener(port, host) as one, listener(port, host) as two:
        one.settimeout(0)
        two.settimeout(0)
        served = 0
        for _ in range(300):
            with socket.create_connection((host, port), timeout=2):
                for server in (one, two):
                    try:
                        server.accept()[0].close()
                        served += 1
                    except BlockingIOError:
                        continue
        assert served == 300


def test_connections_of_a_former_run_that_linger_are_no_obstacle():
    port = free_port()
    with reserve_port("127.0.0.1", port), listener(port) as server:
        client = socket.create_connection(("127.0.0.1", port))
        # The side that closes first keeps the port for a while.
        server.accept()[0].close()
        client.close()
    with closing(reserve_port("127.0.0.1", port)):
        pass


def test_a_port_taken_by_a_stranger_is_named():
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {port} on 127.0.0.1 is in use"):
            reserve_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(PortInUse, match=r"Cannot listen on port 8000 of 192\.0\.2\.1"):
        reserve_port("192.0.2.1", 8000)


def test_the_url_of_a_server_on_all_addresses_is_that_of_this_machine():
    assert base_url("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    assert base_url("0.0.0.0", 8000) == "http://127.0.0.1:8000"
    assert base_url("::", 8000) == "http://[::1]:8000"
