"""A follower that takes its leader's log from a topic, in the partitions that Kafka gives it.

Where it is, PostgreSQL knows, by position in the log and partition; Kafka's offsets only tell
where to begin looking. Whatever comes twice is dropped, and it never steps over a gap. Of two
that believe they own a partition, one finds the position moved. Whatever goes wrong, it leaves
the group of consumers, and joins it again from what is stored.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from eventsourcing.persistence import IntegrityError

from application.persistence.connection import AWAY
from application.persistence.following import BatchFollower, CannotFollow
from application.persistence.log import Entry
from application.views.view import View
from interface.following import Following
from interface.kafka.dead_letters import DeadLetters
from interface.kafka.envelope import Envelope, NotOurs
from interface.kafka.sender import PROGRESS
from interface.kafka.topics import QUIET, KafkaAway

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.2  # how soon a stop is noticed
_HANGING_MS: Final = 60_000  # after which they get those of one that hangs
_PARKED_SECONDS: Final = 5.0

# What has nothing to do with the message at hand.
_ELSEWHERE: Final = (*AWAY, IntegrityError, CannotFollow, KafkaException)


class Source(NamedTuple):
    """Where a leader's log is read, and how."""

    servers: str
    topic: str
    group: str
    type_prefix: str
    dead_letters: str
    session_seconds: float  # of silence, after which others get its partitions
    event_of: Callable[[str, bytes], Any]  # of a message's type and value; raises ValueError


class Gap(Exception):
    """Messages are missing: nobody knows what they said, so nothing after them is taken."""


class Consuming(Following):
    """Follows by topic instead of by store, from its turn on; others may do so beside it."""

    shares_its_turn = True

    def __init__(
        self,
        follower: BatchFollower,
        leader: str,
        batch_size: int,
        stopping: threading.Event,
        source: Source,
    ) -> None:
        super().__init__(follower, leader, batch_size, stopping)
        self._source = source
        self._dead_letters = DeadLetters(source.servers, source.dead_letters)
        self._partitions = 0
        self._mine: dict[int, int] = {}  # partition -> position
        self._rewound: set[int] = set()  # partitions that are read from the beginning

    def work(self) -> None:
        """Takes part in the group until it is told to stop."""
        try:
            with self._joined() as consumer:
                while self.is_our_turn and not self._stopping.is_set():
                    self._take(consumer)
        except KafkaException as error:
            raise KafkaAway.by(error.args[0]) from error
        except _ELSEWHERE:
            raise
        except Exception as error:
            if not isinstance(self.follower, View):
                raise
            self._park(self.follower, error)

    def _park(self, view: View, error: Exception) -> None:
        """Says that the view stands still, and why, until it is made anew or comes past it."""
        reason = f"{self._source.topic}: {type(error).__name__}: {error}"
        if view.recorder.parked() != reason:
            log.error("view parked", extra={"view": view.name, "reason": reason}, exc_info=error)
            view.recorder.park(reason)
        self._stopping.wait(_PARKED_SECONDS)

    @contextmanager
    def _joined(self) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._source.servers,
                "group.id": self._source.group,
                "partition.assignment.strategy": "cooperative-sticky",
                "auto.offset.reset": "earliest",
                "enable.auto.offset.store": False,
                "allow.auto.create.topics": False,
                "session.timeout.ms": int(self._source.session_seconds * 1000),
                "max.poll.interval.ms": _HANGING_MS,
                **QUIET,
            }
        )
        try:
            topic = self._source.topic
            found = consumer.list_topics(topic, timeout=_POLL_SECONDS * 10).topics[topic]
            if found.error is not None:
                raise KafkaAway(f"the topic {topic} is not there: ome kafka init makes it")
            self._partitions = len(found.partitions)
            consumer.subscribe(
                [topic],
                on_assign=self._forget,
                on_revoke=self._forget,
                on_lost=self._forget,
            )
            self._forget()
            yield consumer
        finally:
            consumer.close()

    def _forget(self, *_: object) -> None:
        """Others may have been at work on what is ours now: what is stored is read again."""
        self.follower.forget()
        self._mine.clear()
        self._rewound.clear()

    def _take(self, consumer: Consumer) -> None:
        """What has come, or nothing if nothing comes for a moment."""
        first = consumer.poll(_POLL_SECONDS)
        if first is None:
            return
        received: dict[int, list[Message]] = defaultdict(list)
        for message in (first, *consumer.consume(self._batch_size - 1, timeout=0)):
            if message.error() is not None:
                raise KafkaException(message.error())
            received[cast("int", message.partition())].append(message)
        if not self._mine:
            self._mine = dict(enumerate(self.follower.take_parts(self.leader, self._partitions)))
        for partition, messages in received.items():
            if self._process(consumer, partition, messages):
                consumer.store_offsets(message=messages[-1])

    def _process(self, consumer: Consumer, partition: int, messages: Sequence[Message]) -> bool:
        """False where the partition has to be read from its beginning."""
        position = self._mine[partition]
        entries: list[Entry] = []
        for message in messages:
            envelope = self._open(message)
            if envelope is None or envelope.position <= position:
                continue
            if envelope.predecessor > position:
                self._apply(partition, entries, position)
                self._rewind(consumer, partition, envelope)
                return False
            if envelope.type != PROGRESS:
                try:
                    event = self._source.event_of(envelope.type, message.value() or b"")
                except ValueError:
                    self._apply(partition, entries, position)  # all that comes before
                    raise
                entries.append((envelope.position, event))
            position = envelope.position
        self._apply(partition, entries, position)
        return True

    def _open(self, message: Message) -> Envelope | None:
        try:
            return Envelope.of(message, f"/{self.leader}", self._source.type_prefix)
        except NotOurs as fault:
            self._dead_letters.send(message, str(fault))
            return None

    def _rewind(self, consumer: Consumer, partition: int, envelope: Envelope) -> None:
        """What is missing may stand before where Kafka began. Raises Gap where it does not."""
        if partition in self._rewound:
            raise Gap(
                f"{self._source.topic}, partition {partition}: nothing between"
                f" {self._mine[partition]} and {envelope.position}, which comes after"
                f" {envelope.predecessor}"
            )
        self._rewound.add(partition)
        consumer.seek(TopicPartition(self._source.topic, partition, OFFSET_BEGINNING))

    def _apply(self, partition: int, entries: Sequence[Entry], upto: int) -> None:
        if upto == self._mine[partition]:
            return
        topics = self.follower.topics
        wanted = [entry for entry in entries if not topics or entry[1].TOPIC in topics]
        try:
            self.follower.process_part(self.leader, partition, wanted, upto)
        except _ELSEWHERE:
            raise
        except Exception:
            if not isinstance(self.follower, View) or len(wanted) == 1:
                raise
            self.follower.take_parts(self.leader, self._partitions)
            for entry in wanted:  # up to the one that it can't apply
                self.follower.process_part(self.leader, partition, [entry], entry[0])
            self.follower.process_part(self.leader, partition, [], upto)
        self._mine[partition] = upto
        self._rewound.discard(partition)
