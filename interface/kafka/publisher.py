"""The publisher: a follower whose batches become messages on Kafka's topics.

Its position moves, in PostgreSQL, when the broker has confirmed everything up to it. After
whatever goes wrong it sends again from there: what comes of that is a message twice, which
its position tells, and never a gap.
"""

import logging
import time
from collections.abc import Sequence
from threading import Event
from typing import ClassVar, Final, NamedTuple, cast

from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import EnvType

from application.persistence.error_words import in_words
from application.persistence.following import (
    LOOK_ANYWAY_SECONDS,
    BatchFollower,
    CannotFollow,
)
from application.persistence.log import Entry
from application.persistence.partitions import Published
from application.persistence.position import Advance
from application.persistence.publisher_tables import SCHEMA
from application.publishing import Feed
from interface.kafka.recorder import PublisherRecorder, destination
from interface.kafka.refusals import Standstill, explain
from interface.kafka.sender import Refused, Sender, TooLarge
from interface.kafka.topic_faults import Severity, faults
from interface.kafka.topic_settings import Settings, read_settings
from interface.kafka.topics import Found, KafkaAway, Topic, are_empty, describe

log = logging.getLogger(__name__)


class Kafka(NamedTuple):
    """The destination of messages; ``topics`` are as they should be."""

    servers: str
    topic_prefix: str
    type_prefix: str
    topics: Sequence[Topic] = ()


_LOOK_SECONDS: Final = 1.0  # between looks at whether the topics are still the same
_QUOTA: Final = "Kafka holds messages back by a quota of this client"
_THROTTLED_SECONDS: Final = 1.0  # of a quota, from which on it is told
_CHECK_SECONDS: Final = 60.0  # between looks at their settings
# A partition without events of its own learns after this time that the log goes on. To tell
# them all after every batch would be most of the work: each is a request of its own.
_TELL_SECONDS: Final = 0.25


class Publisher(BatchFollower):
    """The publisher of the publications that a feed makes of one leader's log."""

    # Consequences of an order in the same moment go with it: each batch is several requests,
    # and wakes every consumer. On two busy cores all is seen sooner so.
    gather_seconds = 0.01
    env: ClassVar[dict[str, str]] = {"POSTGRES_SCHEMA": SCHEMA}
    recorder: PublisherRecorder

    def __init__(self, env: EnvType, leader: str, feed: Feed, kafka: Kafka) -> None:
        self.name = f"{leader}Publisher"  # the library's name of its tables, so before its own
        super().__init__(env)
        self.leader = leader
        self._feed = feed
        self._kafka = kafka
        self._names = [kafka.topic_prefix + topic for topic in feed.topics]
        self._topics: dict[str, Found] = {}
        self._wanted = [topic for topic in kafka.topics if topic.name in self._names]
        self._looked = self._checked = 0.0
        self._faults: frozenset[str] = frozenset()  # as they were logged
        self._standstill: Standstill | None = None
        self._last = 0  # events in the last batch
        self._is_slow = False  # a quota was told of
        self._log_topic, *_ = feed.topics
        self._untold = 0  # where the log stands, unless all partitions have been told
        self._told = 0.0
        self._sender: Sender | None = None
        self._interrupted = Event()

    def construct_recorder(self) -> PublisherRecorder:
        factory = cast("PostgresFactory", self.factory)
        return factory.tracking_recorder(PublisherRecorder)

    @property
    def channel(self) -> str:
        """Return the channel on which PostgreSQL notifies of what is published."""
        return self.recorder.channel_name

    def published(self) -> Published:
        return self.recorder.published(self.leader, self._log_topic)

    def process_batch(self, *leader_names: str, limit: int | None = None) -> int:
        """Process as the base class does. Raises CannotFollow where Kafka is not as it must be."""
        if self._standstill is not None:
            self._standstill.wait_for_change()
            self._standstill = None
        try:
            return self._process_batch(leader_names, limit)
        except (Refused, KafkaAway) as error:
            if isinstance(error, TooLarge) and error.is_preceded:
                return self._process_batch(leader_names, limit)
            raise self._explained(error) from error.__cause__ or error

    def _process_batch(self, leader_names: Sequence[str], limit: int | None) -> int:
        if self._sender is not None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look_at_topics()
        if self._sender is None:
            self._sender = self._connect()
        if self._is_throttled(self._sender):
            return 0
        count = super().process_batch(*leader_names, limit=limit)
        if not count and self._untold and self._is_time_to_tell():
            try:
                self._tell(self._sender)
                self._sender.finish()
            except BaseException:
                self.forget()
                raise
        return count

    def _is_throttled(self, sender: Sender) -> bool:
        """Wait a moment where a quota wants it; messages sent then would only be held back longer.

        From then on batches stay as small as the last one: in a larger one messages time out.
        """
        seconds = sender.throttled_seconds()
        if seconds <= 0:
            return False
        if seconds > _THROTTLED_SECONDS and not self._is_slow:
            self._is_slow = True
            log.warning(
                _QUOTA,
                extra={"follower": self.name, "seconds": round(seconds, 1)},
            )
        self._at_most = max(self._last, 1)
        self.may_have_more = False
        self._interrupted.wait(min(seconds, LOOK_ANYWAY_SECONDS))
        return True

    def _explained(self, error: Refused | KafkaAway) -> CannotFollow:
        """Return the error with its remedy; a refused message is not sent again until then."""
        if isinstance(error, KafkaAway) and not error.is_unconfirmed:
            return error
        servers = self._kafka.servers
        try:
            found = read_settings(servers, self._names)
        except KafkaAway as away:
            return away
        reason = explain(self.leader, error, faults(servers, self._wanted, found), found, servers)
        if self._is_slow:
            reason += f"; {_QUOTA}"
        if isinstance(error, Refused):
            self._standstill = Standstill(reason, servers, self._names, found)
            return CannotFollow.lasting(reason)
        return CannotFollow(reason)

    def process_entries(self, entries: Sequence[Entry], move: Advance) -> None:
        try:
            self._send(entries, move)
        except (Refused, KafkaAway) as error:
            # The messages before it go first, and then it alone: a batch that is sent again and
            # again fills the topic with what consumers have had.
            before = 0
            if isinstance(error, TooLarge):
                before = sum(position < error.position for position, _ in entries)
                error.is_preceded = before > 0
            self._at_most = max(before, 1)
            raise

    def _send(self, entries: Sequence[Entry], move: Advance) -> None:
        sender = cast("Sender", self._sender)  # by process_batch
        for position, event in entries:
            try:
                publications = self._feed.publications(position, event)
            except Exception as error:
                reason = f"{self.leader} {position} can't be published: {in_words(error)}"
                raise CannotFollow.lasting(reason) from error
            for publication in publications:
                sender.send(position, publication)
        self._last = len(entries)
        self._untold = move.notification_id
        self.idle_seconds = _TELL_SECONDS
        if self._is_time_to_tell():
            self._tell(sender)
        sender.finish()
        self.recorder.advance(move, self._topics, sender.ends, self._log_topic)

    def _is_time_to_tell(self) -> bool:
        return time.monotonic() - self._told >= _TELL_SECONDS

    def _tell(self, sender: Sender) -> None:
        sender.tell(self._untold)
        self._told = time.monotonic()
        self._untold = 0
        self.idle_seconds = LOOK_ANYWAY_SECONDS

    def forget(self) -> None:
        """Discard the sender as well: after any error, the next begins at the stored position."""
        super().forget()
        self._untold = 0
        if self._sender is not None:
            self._sender.discard()
            self._sender = None

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self.forget()
        super().close()

    def _look_at_topics(self) -> None:
        """Of topics that are made anew a producer notices nothing: all has to be sent again."""
        self._looked = time.monotonic()
        if describe(self._kafka.servers, self._names) != self._topics:
            self.forget()
        elif self._looked - self._checked > _CHECK_SECONDS:
            self._check(read_settings(self._kafka.servers, self._names))

    def _check(self, found: Settings) -> None:
        """Log the faults of the topics, once. Raises CannotFollow for those that must not be."""
        self._checked = time.monotonic()
        wrong = faults(self._kafka.servers, self._wanted, found)
        for fault in wrong:
            if fault.severity is Severity.STOP:
                reason = str(fault)
                self._standstill = Standstill(reason, self._kafka.servers, self._names, found)
                self.forget()
                raise CannotFollow.lasting(reason)
            if str(fault) not in self._faults:
                log.warning(
                    "topic is not as it must be",
                    extra={"follower": self.name, "fault": str(fault)},
                )
        self._faults = frozenset(map(str, wrong))

    def _connect(self) -> Sender:
        servers, topic_prefix, type_prefix, _ = self._kafka
        found = read_settings(servers, self._names)
        self._topics = {
            name: Found(state.id, state.partitions) for name, state in found.topics.items()
        }
        self._looked = time.monotonic()
        for name in self._names:
            if name not in self._topics:
                raise CannotFollow(f"there is no topic {name}: `ome kafka init` makes it")
        self._check(found)
        if self._are_of_others():
            raise CannotFollow(
                "the topics have messages of another database: delete them, or choose another"
                " KAFKA_TOPIC_PREFIX"
            )
        place = self.recorder.adopt(self.leader, self._topics)
        if place.is_anew:
            log.warning(
                "the topics are others than before: publishing from the beginning",
                extra={"follower": self.name},
            )
        # Both are of one moment: what was sent is what was sent up to this position.
        self._positions[self.leader] = place.position
        self._untold = place.position or 0
        ends = {
            topic: place.ends.get(topic) or [0] * self._topics[topic_prefix + topic].partitions
            for topic in self._feed.topics
        }
        prefixes = (topic_prefix, type_prefix)
        limits = {
            topic: found.topics[topic_prefix + topic].message_bytes for topic in self._feed.topics
        }
        return Sender(servers, self.leader, ends, prefixes, self._interrupted, limits=limits)

    def _are_of_others(self) -> bool:
        """Test if the topics have messages, and none of this database's."""
        if self._has_destination() or are_empty(self._kafka.servers, self._topics):
            return False
        # A publisher adopts topics before it fills them: perhaps another of this database just did.
        return not self._has_destination()

    def _has_destination(self) -> bool:
        datastore = self.recorder.datastore
        return bool(destination(datastore, datastore.schema, self.leader))
