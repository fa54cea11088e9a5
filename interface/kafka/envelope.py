"""The headers of a message: CloudEvents 1.0, binary mode, and its place in the log."""

from typing import NamedTuple, cast

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


class Opener:
    """A reader of the envelopes of one ``ce_source``.

    The common parts of a type's messages are read once, as this is done for each of them.
    """

    def __init__(self, source: str, type_prefix: str) -> None:
        self._source = source
        self._prefix = f"{type_prefix}."
        self._types: dict[tuple[bytes | None, ...], str] = {}

    def open(self, message: Message) -> Envelope:
        """Raises NotOurs."""
        try:
            headers = cast("dict[str, bytes | None]", dict(message.headers() or ()))
        except (SystemError, UnicodeDecodeError) as fault:  # the client's, of names
            raise NotOurs(f"its headers can't be read: {fault}") from None
        try:
            fixed = headers["ce_specversion"], headers["ce_source"], headers["ce_type"]
            name = self._types.get(fixed) or self._check(*fixed)
            position = int(headers["ce_position"] or b"")
            predecessor = int(headers["ce_predecessor"] or b"")
            partitions = int(headers["ce_partitions"] or b"")
        except KeyError as missing:
            raise NotOurs(f"it has no header {missing.args[0]}") from None
        except NotOurs:
            raise
        except ValueError as fault:
            raise NotOurs(f"its headers can't be read: {fault}") from None
        if partitions < 1:
            raise NotOurs(f"a log is not divided among {partitions} partitions")
        if not 0 <= predecessor < position:
            raise NotOurs(f"its place, {position} after {predecessor}, is none in a log")
        return Envelope(name, position, predecessor, partitions)

    def _check(self, *fixed: bytes | None) -> str:
        """The type without the prefix. Raises NotOurs, UnicodeDecodeError."""
        version, source, name = ((text or b"").decode() for text in fixed)
        for header, text, ours in (
            ("ce_specversion", version, "1.0"),
            ("ce_source", source, self._source),
        ):
            if text != ours:
                raise NotOurs(f"its {header} is not {ours}")
        if not name.startswith(self._prefix):
            raise NotOurs(f"its ce_type does not begin with {self._prefix}")
        self._types[fixed] = name.removeprefix(self._prefix)
        return self._types[fixed]
