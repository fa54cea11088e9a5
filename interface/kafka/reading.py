"""The events in the messages of one partition, from a position of the log on."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple

from confluent_kafka import Message

from application.persistence.following import BatchFollower, CannotFollow
from application.persistence.log import Entry
from application.persistence.publisher_tables import SCHEMA
from interface.kafka.envelope import NotOurs, Opener
from interface.kafka.recorder import destination, published_upto
from interface.kafka.sender import PROGRESS
from interface.kafka.topics import QUIET, Found, describe

_ANSWER_MS: Final = 3_000  # for a broker: who leaves the group, as at the end, waits for it


class Source(NamedTuple):
    """The source of a leader's log, and its configuration."""

    servers: str
    topic: str
    group: str
    leader: str
    opener: Opener
    dead_letters: str
    event_of: Callable[[str, bytes], Any]  # of a message's type and value; raises ValueError
    passed_over: Collection[str]  # types of messages that the follower has no use for
    session_ms: int  # of silence, after which others get its partitions
    publishers: str = SCHEMA  # the schema of those who publish from this market

    def find(self) -> Found:
        """The topic as it is. Raises CannotFollow where it is not there, or Kafka is away."""
        found = describe(self.servers, [self.topic])
        if self.topic not in found:
            raise CannotFollow(f"the topic {self.topic} is not there: `ome kafka init` makes it")
        return found[self.topic]

    def check(self, follower: BatchFollower, found: Found) -> None:
        """Raise CannotFollow if the topic is not the one that this database is published to.

        Another topic of the name may have the events of another database, at the same positions.
        """
        recorder: Any = follower.recorder
        if destination(recorder.datastore, self.publishers, self.leader).get(self.topic) != found:
            raise CannotFollow(f"the topic {self.topic} is not yet published to from here")

    def published_upto(self, follower: BatchFollower) -> int:
        """Up to where Kafka has confirmed the log."""
        recorder: Any = follower.recorder
        return published_upto(recorder.datastore, self.publishers, self.leader)

    @property
    def config(self) -> dict[str, Any]:
        """Return the configuration of every consumer of it."""
        return {
            "bootstrap.servers": self.servers,
            "group.id": self.group,
            "enable.auto.offset.store": False,
            "allow.auto.create.topics": False,
            "auto.offset.reset": "earliest",
            "socket.timeout.ms": _ANSWER_MS,
            **QUIET,
        }


class Fault(Exception):
    """The reason why a message of ours can't be taken, nor any after it."""


class Gap(Fault):
    """Messages are missing, with unknown contents.

    ``upto`` is the last of them; None: the number of partitions has changed.
    """

    upto: int | None = None


class Early(Fault):
    """What it follows from has not come yet; it can be taken later."""


class Unreadable(Fault):
    """Nobody knows what it says."""


class Extent(NamedTuple):
    """The partitions and the end of a log: nothing of it is beyond that.

    ``is_due`` tests if an event can be taken yet.
    """

    partitions: int
    end: int
    is_due: Callable[[Any], bool]


class Taken(NamedTuple):
    """Events with their places in the log, and the position with them.

    ``fault`` is the reason why ``message``, which comes next, can't be taken.
    """

    entries: list[Entry]
    upto: int
    fault: Fault | None = None
    message: Message | None = None


def take(
    source: Source,
    messages: Iterable[Message],
    position: int,
    extent: Extent,
    not_ours: Callable[[Message, str], None],
) -> Taken:
    """Return the events of messages that follow ``position`` in a partition, up to a fault.

    ``not_ours`` is called with foreign messages, and the reasons.
    """
    entries: list[Entry] = []
    gap: tuple[Gap, Message] | None = None
    for message in messages:
        try:
            envelope = source.opener.open(message)
        except NotOurs as fault:
            not_ours(message, str(fault))
            continue
        if envelope.position > extent.end:
            not_ours(message, f"its position, {envelope.position}, is beyond the end of the log")
            continue
        if envelope.partitions != extent.partitions:
            # The events had in this partition are then those of another division.
            gap = gap or (_other_partitions(envelope.partitions, extent.partitions), message)
            continue
        if envelope.position <= position:
            gap = None if envelope.position == position else gap
            continue
        if envelope.predecessor > position:
            # Not the end yet: where a topic was made anew, all is sent again from the beginning,
            # and may come after what was sent before that was noticed.
            gap = gap or (_gap(position, envelope.predecessor), message)
            continue
        gap = None
        if envelope.type != PROGRESS and envelope.type not in source.passed_over:
            try:
                event = source.event_of(envelope.type, message.value() or b"")
            except Exception as error:  # noqa: BLE001 - it is told
                unreadable = Unreadable(f"{envelope.position}, {envelope.type}: {error}")
                return Taken(entries, position, unreadable, message)
            if not extent.is_due(event):
                return Taken(entries, position, Early(), message)
            entries.append((envelope.position, event))
        position = envelope.position
    return Taken(entries, position, *(gap or ()))


def _other_partitions(found: int, partitions: int) -> Gap:
    return Gap(f"the log was divided among {found} partitions, and the topic has {partitions}")


def _gap(position: int, predecessor: int) -> Gap:
    gap = Gap(f"nothing is there after {position} and up to {predecessor}")
    gap.upto = predecessor
    return gap
