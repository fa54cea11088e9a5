"""One leader's log, in the partitions of its topic that a consumer is given."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from application.persistence.connection import AWAY
from application.persistence.error_words import in_words
from application.persistence.following import BatchFollower, CannotFollow
from application.persistence.partitions import part
from application.persistence.position import PositionMoved
from application.views.view import View
from interface.kafka.dead_letters import DeadLetters
from interface.kafka.reading import Early, Extent, Fault, Gap, Source, Taken, take
from interface.kafka.topics import Found, KafkaAway
from system import VIEWS

_ASK_SECONDS: Final = 2
_LOOK_SECONDS: Final = 5.0  # from look to look whether the topic is still the same
_BACK: Final = 10_000  # messages, at first
_ON: Final = 100_000  # messages: more than a publisher sends until it looks at its topics

# These errors have nothing to do with the message at hand.
ELSEWHERE: Final = (*AWAY, PositionMoved, CannotFollow, KafkaException)


class Unpublished(CannotFollow):
    """The publisher will send messages again that are on the topic, with those before them."""


class Standstill(Exception):
    """A partition can't be followed any further; the text says why, and begins with its name."""


class Taking:
    """A follower's progress in the partitions of one topic, and what can't be taken from there."""

    def __init__(self, follower: BatchFollower, source: Source) -> None:
        self.source = source
        self.topic = Found("", 0)
        self._follower = follower
        self._dead_letters = DeadLetters(source.servers, source.dead_letters, source.group)
        self._looked = 0.0
        self._mine: dict[int, int] = {}  # partition -> position
        self._begun: dict[int, tuple[int, int]] = {}  # -> offsets: gone back from, and to
        self._gaps: dict[int, int] = {}  # partition -> offset from which on it reads past a gap

    def begin(self) -> None:
        """Find the topic. Raises CannotFollow where it is not there, or not this market's."""
        self.topic = self.source.find()
        self.source.check(self._follower, self.topic)
        self._looked = time.monotonic()

    def forget(self) -> None:
        """Read the stored positions again: others may have moved those that are ours now."""
        self._mine.clear()
        self._begun.clear()
        self._gaps.clear()

    def look_at_topic(self) -> None:
        """Of a topic that is made anew a consumer notices nothing, or reads some partitions only.

        Raises CannotFollow: who joins anew has no part in what the old one was.
        """
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with suppress(KafkaAway):  # which the consumer finds out as well
            if self.source.find() == self.topic:
                return
            raise self._is_another()

    def _is_another(self) -> CannotFollow:
        return CannotFollow(f"the topic {self.source.topic} is another than it was")

    def know_positions(self) -> None:
        if not self._mine:
            positions = self._follower.take_parts(self.source.leader, self.topic.partitions)
            self._mine = dict(enumerate(positions))

    def take(self, consumer: Consumer, received: Mapping[int, Sequence[Message]]) -> bool:
        """Apply messages of partitions; return whether some came too early, and will come again.

        Raises Standstill or Unpublished where one can't be taken.
        """
        # Some may have been taken from us since the first message came.
        assigned = {p.partition for p in consumer.assignment() if p.topic == self.source.topic}
        ours = assigned & received.keys()
        if not ours <= self._mine.keys():
            raise self._is_another()
        # All messages that have come were recorded before.
        end = self._follower.end_of_log(self.source.leader)
        taken = {number: self._read(number, received[number], end) for number in ours}
        self._apply({n: each for n, each in taken.items() if each.upto > self._mine[n]})
        early = {n: each for n, each in taken.items() if isinstance(each.fault, Early)}
        for each in early.values():
            self._seek(consumer, cast("Message", each.message))
        faults = {
            number: each
            for number, each in taken.items()
            if each.fault is not None
            and number not in early
            and not self._go_back(consumer, each)
            and not self._read_on(consumer, each, received[number][-1])
        }
        # A follower that goes on from here reads the last message again, and so sees at once if
        # PostgreSQL lacks it, as after a crash, even if no more messages come.
        lasts = [
            (number, cast("int", received[number][-1].offset()))
            for number, each in taken.items()
            if each.fault is None
        ]
        consumer.store_offsets(
            offsets=[TopicPartition(self.source.topic, number, last) for number, last in lasts]
        )
        for number, each in faults.items():
            raise self._standstill(number, cast("Fault", each.fault)) from each.fault
        return bool(early)

    def _read(self, partition: int, messages: Sequence[Message], end: int) -> Taken:
        is_due = self._follower.due_in_partition(self.source.leader, partition)
        extent = Extent(self.topic.partitions, end, is_due)
        return take(self.source, messages, self._mine[partition], extent, self._dead_letters.send)

    def _standstill(self, partition: int, fault: Fault) -> Exception:
        """Return the sentence about a message that can't be taken, with what mends it."""
        where, leader = self._part(partition), self.source.leader
        if not isinstance(fault, Gap) or fault.upto is None:
            return Standstill(f"{where} {fault}")
        published = self.source.published_upto(self._follower)
        if published < fault.upto:
            # It was sent and not confirmed, as where a message is too large: it will come.
            return Unpublished(
                f"{where}: {leader} is published up to {published} only, and what is on the"
                " topic beyond that is passed over. It goes on by itself when the publisher does"
            )
        return Standstill(f"{where} {fault} on the topic any more: {self._advice}")

    @property
    def _advice(self) -> str:
        for name, view in VIEWS.items():
            if isinstance(self._follower, view):
                return f"`ome rebuild {name}` makes the view anew from the event store"
        return (
            "run this role without KAFKA_BOOTSTRAP_SERVERS until it has caught up from the event"
            " store"
        )

    def _go_back(self, consumer: Consumer, taken: Taken) -> bool:
        """Go back to look for missing messages before where Kafka began; False: they are not there.

        After a crash Kafka may be a little ahead of PostgreSQL: each step back is larger.
        """
        if not isinstance(taken.fault, Gap):
            return False
        message = cast("Message", taken.message)
        partition, offset = cast("int", message.partition()), cast("int", message.offset())
        place = TopicPartition(self.source.topic, partition)
        first, _ = consumer.get_watermark_offsets(place, timeout=_ASK_SECONDS)
        since, begun = self._begun.get(partition, (offset, offset))
        if begun <= first:
            return False
        place.offset = max(first, since - max(_BACK, 10 * (since - begun)))
        consumer.seek(place)
        self._begun[partition] = since, place.offset
        return True

    def _read_on(self, consumer: Consumer, taken: Taken, last: Message) -> bool:
        """Read on, as missing messages may come yet; False: they won't.

        A publisher may not notice at once that its topic was deleted and made again. Then its next
        messages come first, and those that it sends again follow.
        """
        if not isinstance(taken.fault, Gap):
            return False
        partition, offset = cast("int", last.partition()), cast("int", last.offset())
        place = TopicPartition(self.source.topic, partition)
        _, end = consumer.get_watermark_offsets(place, timeout=_ASK_SECONDS)
        first = self._gaps.setdefault(partition, offset)
        return offset + 1 < min(end, first + _ON)

    def _seek(self, consumer: Consumer, message: Message) -> None:
        """Have a message come again, and all that follow it in its partition."""
        partition, offset = cast("int", message.partition()), cast("int", message.offset())
        consumer.seek(TopicPartition(self.source.topic, partition, offset))

    def _apply(self, taken: Mapping[int, Taken]) -> None:
        """Apply the new events of all partitions, in one transaction. Raises Standstill."""
        if not taken:
            return
        for number in taken:
            self._begun.pop(number, None)
            self._gaps.pop(number, None)
        try:
            parts = {number: (each.entries, each.upto) for number, each in taken.items()}
            self._follower.process_parts(self.source.leader, parts)
        except ELSEWHERE:
            raise
        except Exception:
            if not isinstance(self._follower, View):
                raise
            self._apply_up_to_the_fault(taken)
        self._mine.update((number, each.upto) for number, each in taken.items())

    def _apply_up_to_the_fault(self, taken: Mapping[int, Taken]) -> None:
        """Event by event, of each partition up to the one that can't be applied.

        Raises Standstill there.
        """
        stored = self._follower.take_parts(self.source.leader, self.topic.partitions)
        for number in taken:
            if stored[number] != self._mine[number]:
                raise PositionMoved(f"{self._part(number)} is at {stored[number]} already")
        faults = [
            fault for number, each in taken.items() if (fault := self._apply_singly(number, each))
        ]
        if faults:
            raise faults[0] from faults[0].__cause__

    def _apply_singly(self, partition: int, taken: Taken) -> Standstill | None:
        leader = self.source.leader
        for position, event in taken.entries:
            try:
                one = {partition: ([(position, event)], position)}
                self._follower.process_parts(leader, one)
            except ELSEWHERE:
                raise
            except Exception as error:  # noqa: BLE001 - it is told
                # The follower has dropped what it knew.
                self._follower.take_parts(leader, self.topic.partitions)
                reason = f"{position}, {event.TOPIC}: {in_words(error)}"
                fault = Standstill(f"{self._part(partition)} {reason}")
                fault.__cause__ = error
                return fault
        self._follower.process_parts(leader, {partition: ([], taken.upto)})
        return None

    def _part(self, partition: int) -> str:
        return part(self.source.leader, partition)
