"""What the headers of a message say: CloudEvents 1.0, binary mode, and its place in the log."""

from typing import NamedTuple, Self, cast

from confluent_kafka import Message


class NotOurs(ValueError):
    """The message is none that we publish; the text says why."""


class Envelope(NamedTuple):
    """``position`` is where the log stands with the message; ``predecessor``, before it.

    ``partitions``: among how many its publisher has divided the log.
    """

    type: str  # without the installation's prefix
    position: int
    predecessor: int
    partitions: int

    @classmethod
    def of(cls, message: Message, source: str, type_prefix: str) -> Self:
        """Of a message of this ``ce_source``. Raises NotOurs."""
        headers = cast("dict[str, bytes | None]", dict(message.headers() or ()))
        try:
            text = {name: (headers[f"ce_{name}"] or b"").decode() for name in _NEEDED}
            position, predecessor, partitions = (
                int(text[name]) for name in ("position", "predecessor", "partitions")
            )
        except KeyError as missing:
            raise NotOurs(f"it has no header {missing.args[0]}") from None
        except ValueError as fault:
            raise NotOurs(f"its headers can't be read: {fault}") from None
        for name, ours in (("specversion", "1.0"), ("source", source)):
            if text[name] != ours:
                raise NotOurs(f"its ce_{name} is not {ours}")
        prefix = f"{type_prefix}."
        if not text["type"].startswith(prefix):
            raise NotOurs(f"its ce_type does not begin with {prefix}")
        if not 0 <= predecessor < position <= _LAST:
            raise NotOurs(f"its place, {position} after {predecessor}, is none in a log")
        return cls(text["type"].removeprefix(prefix), position, predecessor, partitions)


_NEEDED = ("specversion", "source", "type", "position", "predecessor", "partitions")
_LAST = 2**63 - 1  # that PostgreSQL can count
