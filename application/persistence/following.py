"""Following in batches: as many notifications as wait, one transaction.

The library's followers record after every event. Here the policy is applied to each of a
batch in turn, and what comes of all of them is recorded at once with the new position.
With nothing waiting, a batch is one event.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from eventsourcing.application import ProcessingEvent
from eventsourcing.persistence import InfrastructureFactory, JSONTranscoder, Mapper, Notification
from eventsourcing.postgres import PostgresFactory
from eventsourcing.system import Follower, ProcessApplication, ProcessingJob
from eventsourcing.utils import Environment

from application.persistence.mapper import JSONMapper
from application.persistence.position import Advance
from application.persistence.recorder import EventRecorder

_RECONNECT_SECONDS = 1.0


class BatchFollower(Follower[UUID]):
    """A follower whose unit of work is a batch."""

    # How many events one read may bring at most, and how many it brings unless told; the
    # library's defaults are 10.
    log_section_size = 10_000
    pull_section_size = 500

    def construct_mapper(self) -> Mapper[UUID]:
        return self.factory.mapper(transcoder=JSONTranscoder(), mapper_class=JSONMapper)

    def construct_factory(self, env: Environment) -> InfrastructureFactory:
        """The library's, but a pool whose PostgreSQL is away is quick to look again.

        Left alone, its attempts to reconnect come ever more seldom, over five minutes; this
        way an attempt is given up soon, and the next request starts a new one.
        """
        factory = super().construct_factory(env)
        if isinstance(factory, PostgresFactory):
            factory.datastore.pool.reconnect_timeout = _RECONNECT_SECONDS
        return factory

    def pull_and_process(
        self, leader_name: str, start: int | None = None, stop: int | None = None
    ) -> None:
        """Processes all that waits; this is what the library's runners call.

        ``start`` and ``stop`` are not needed: the position is read for every batch.
        """
        del start, stop
        while self.process_batch(leader_name):
            pass

    def process_batch(self, leader_name: str, limit: int | None = None) -> int:
        """Processes the notifications that wait, up to ``limit``; returns how many.

        Raises IntegrityError where another follower was faster: what was decided is
        forgotten, and the next call starts from the position that is then true.
        """
        with self.processing_lock:
            since = self.recorder.max_tracking_id(leader_name)
            notifications = self._after(leader_name, since, limit or self.pull_section_size)
            if not notifications:
                return 0
            jobs = self.convert_notifications(leader_name, notifications)
            move = Advance(leader_name, notifications[-1].id, since)
            try:
                self.process_jobs(jobs, move)
            except BaseException:
                self.forget()
                raise
            return len(jobs)

    def pending(self, leader_name: str, limit: int) -> Sequence[Notification]:
        """The notifications that wait, from the follower's own position on."""
        return self._after(leader_name, self.recorder.max_tracking_id(leader_name), limit)

    def lag(self, leader_name: str, now: datetime) -> timedelta:
        """For how long the oldest event that waits has been waiting."""
        waiting = self.pending(leader_name, limit=1)
        if not waiting:
            return timedelta(0)
        oldest: Any = self.mappers[leader_name].to_domain_event(waiting[0])
        age: timedelta = now - oldest.timestamp
        return max(age, timedelta(0))

    def _after(self, leader_name: str, since: int | None, limit: int) -> Sequence[Notification]:
        return self.readers[leader_name].notification_log.select(
            start=since,
            limit=limit,
            topics=self.topics,
            inclusive_of_start=False,
        )

    def process_jobs(self, jobs: Sequence[ProcessingJob[UUID]], move: Advance) -> None:
        """Applies the policy to each event, and records the results with the position.

        While the policy runs, the processing event's tracking is that of its event.
        """
        processing_event: ProcessingEvent[UUID] = ProcessingEvent()
        for domain_event, tracking in jobs:
            processing_event.tracking = tracking
            self.policy(domain_event, processing_event)
        processing_event.tracking = move
        self._notify(self._record(processing_event))

    def forget(self) -> None:
        """Drops live aggregates, which may hold changes that were not recorded."""
        self._repository = self.construct_repository()


class BatchProcess(BatchFollower, ProcessApplication[UUID]):
    """A batch follower that records events of its own, and leads others."""

    recorder: EventRecorder
