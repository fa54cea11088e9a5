"""The port is ours alone, although the HTTP server would share it with anybody."""

import errno
import socket
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from interface.errors import CannotStartError
from interface.process import never

_POLL: Final = 0.1  # seconds


class PortInUse(CannotStartError):
    """Another process has the port, or it cannot be had; the message says which and why."""


def reserve_port(
    host: str, port: int, *, patience: float = 0, cancelled: Callable[[], bool] = never
) -> socket.socket:
    """Take the port for as long as the socket that this gives stays open.

    The HTTP server binds with SO_REUSEPORT, so that its workers can share the port, and so would
    a second copy of the service, silently. A socket that was bound plainly cannot be shared:
    this one fails where anybody has the port, and keeps it from anybody who binds plainly. Only
    afterwards it lets processes of the same user bind beside it. It never listens, so it gets no
    connections.

    A port in use is waited for as many seconds as patience says, unless cancelled says yes.
    Raise PortInUse, also when the address is not one of this machine.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = f"Cannot listen on port {port} of {host}: {error.strerror}."
                raise PortInUse(reason) from None
            if time.monotonic() >= deadline or cancelled():
                raise PortInUse(
                    f"Port {port} on {host} is in use by another process."
                    " Stop that one, or set PORT to another port."
                ) from None
        time.sleep(_POLL)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    reservation = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of a former run that linger are no obstacle; taken back, or else a second
        # copy could bind in the same way.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind((host, port))
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        reservation.close()
        raise
    return reservation


def base_url(host: str, port: int) -> str:
    """Give the URL at which this machine reaches a server that listens on the address."""
    address = ip_address(host)
    if isinstance(address, IPv6Address):
        return f"http://[{'::1' if address.is_unspecified else address}]:{port}"
    return f"http://{'127.0.0.1' if address.is_unspecified else address}:{port}"
