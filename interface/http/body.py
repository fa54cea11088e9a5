"""The body of a request, with its limits, as it comes in."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from granian.rsgi import HTTPProtocol  # type: ignore[attr-defined]

from interface.http.problems import BadInput, Problem

MAX_BODY_BYTES: Final = 1024 * 1024

# A client that is still sending when the connection is closed may lose the answer with it: so
# more is read than is kept, within limits.
_MOST_READ_BYTES: Final = 16 * MAX_BODY_BYTES
_PATIENCE_SECONDS: Final = 1.0
_CLOSE: Final = {"Connection": "close"}


async def read_body(environ: Mapping[str, Any], protocol: HTTPProtocol, seconds: float) -> bytes:
    """Return the body. Raise Problem 413 above MAX_BODY_BYTES, 408 after too many seconds.

    Raise BadInput for one in chunks that breaks off. After each of them the connection is closed.
    Raise ProtocolClosed where the client has gone.
    """
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    length = int(environ.get("CONTENT_LENGTH", 0))  # the server has checked it
    if length == 0 and not is_chunked:
        return b""
    try:
        async with asyncio.timeout(seconds):
            if is_chunked:
                return await _chunks(protocol)
            if length <= MAX_BODY_BYTES:
                return await protocol()
    except TimeoutError:
        raise Problem(
            408, f"The body did not come in {seconds:g} s; nothing was changed", headers=_CLOSE
        ) from None
    if "HTTP_EXPECT" not in environ:  # else it waits for our word, and sends nothing
        await _discard(protocol)
    raise _too_large()


async def _chunks(protocol: HTTPProtocol) -> bytes:
    parts: list[bytes] = []
    size = ends = 0
    async for part in protocol:
        # An empty part is the end; if there are two, the first of them was an error.
        ends += not part
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
        elif size > _MOST_READ_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise _too_large()
    if ends > 1:
        raise BadInput(detail="The body breaks off; nothing was changed", headers=_CLOSE)
    return b"".join(parts)


async def _discard(protocol: HTTPProtocol) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            size = 0
            async for part in protocol:
                size += len(part)
                if size > _MOST_READ_BYTES:
                    break


def _too_large() -> Problem:
    return Problem(413, f"The body must be at most {MAX_BODY_BYTES} bytes", headers=_CLOSE)
