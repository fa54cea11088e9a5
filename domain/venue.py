"""The Venue aggregate: the rules for all assets, each from a place in the log of commands on.

The follower that decides for one asset may be ahead of that for another. So the venue answers for
a place in the log, and not for the present. Each change carries the ``position`` of its request;
all followers come past that request, and the first of them records the change.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import Final, Self, TypeVar
from uuid import UUID

from domain.aggregate import Aggregate
from domain.instrument import NO_RULES, Instrument, Rules
from domain.requests import InstrumentRequest, LimitsRequest, UserRequest
from domain.values import ALL_ASSETS, venue_id

T = TypeVar("T")

_position: Final = itemgetter(0)


class Venue(Aggregate):
    """The default instrument, and the users who are suspended."""

    TOPIC = "venue"
    class_version = 1
    INITIAL_VERSION = 0

    class Event(Aggregate.Event):
        """Anything that happens to the venue."""

    class Created(Aggregate.Created):
        """The first rule for all assets was asked for."""

        TOPIC = "venue.opened"
        class_version = 1

        asset: str

    class DefaultChanged(Event):
        """Assets without rules of their own have these from now on."""

        TOPIC = "venue.default_changed"
        class_version = 2

        asset: str
        position: int
        user_id: str
        request_id: UUID
        instrument: Instrument

        def apply(self, aggregate: "Venue") -> None:
            aggregate.position = self.position
            aggregate.defaults.append((self.position, Rules(self.instrument)))

        @staticmethod
        def upcast_v1_v2(state: dict[str, object]) -> None:
            del state  # the limits of an instrument that has none are read as None

    class UserChanged(Event):
        """A user is suspended, or is so no longer."""

        TOPIC = "venue.user_changed"
        class_version = 1

        asset: str
        position: int
        user_id: str
        request_id: UUID
        is_suspended: bool

        def apply(self, aggregate: "Venue") -> None:
            aggregate.position = self.position
            changes = aggregate.users.setdefault(self.user_id, [])
            changes.append((self.position, self.is_suspended))

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.position = 0
        # The default rules, each with the position from which they hold.
        self.defaults: list[tuple[int, Rules]] = []
        self.users: dict[str, list[tuple[int, bool]]] = {}

    @classmethod
    def open(cls, time: datetime) -> Self:
        """The venue before anything was asked."""
        return cls._create(cls.Created, id=venue_id(), asset=ALL_ASSETS, timestamp=time)

    def rules_at(self, position: int, user_id: str) -> Rules:
        """Return the rules that held for a user's command at a place in the log."""
        rules = _at(self.defaults, position) or NO_RULES
        changes = self.users.get(user_id)
        if changes is None or not _at(changes, position):
            return rules
        return rules._replace(is_suspended=True)

    def change_default(self, position: int, request: InstrumentRequest.Created) -> None:
        """Give other rules to all assets without their own; open limits stay as they were."""
        instrument = self.rules_at(position, request.user_id).limited(request.instrument)
        self._record(self.DefaultChanged, position, request, instrument=instrument)

    def set_limits(self, position: int, request: LimitsRequest.Created) -> None:
        """Set the limits that the default instrument leaves open; if none is, do nothing."""
        default = self.rules_at(position, request.user_id).default
        limits = default.limits.over(request.limits)
        if limits != default.limits:
            instrument = replace(default, limits=limits)
            self._record(self.DefaultChanged, position, request, instrument=instrument)

    def change_user(self, position: int, request: UserRequest.Created) -> None:
        """Suspend a user, or end the suspension."""
        self._record(self.UserChanged, position, request, is_suspended=request.is_suspended)

    def _record(
        self,
        change: type[Event],
        position: int,
        request: InstrumentRequest.Created | LimitsRequest.Created | UserRequest.Created,
        **facts: object,
    ) -> None:
        if position > self.position:
            self.trigger_event(
                change,
                asset=self.asset,
                position=position,
                user_id=request.user_id,
                request_id=request.originator_id,
                timestamp=max(request.timestamp, self._modified_on),
                **facts,
            )


def _at(changes: Sequence[tuple[int, T]], position: int) -> T | None:
    """The newest change at or before a position; None where there is none."""
    if changes and changes[-1][0] <= position:
        return changes[-1][1]  # at once: most commands come after all changes
    place = bisect_right(changes, position, key=_position)
    return changes[place - 1][1] if place else None
