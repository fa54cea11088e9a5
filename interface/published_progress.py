"""The progress of publishing, as the publisher may not be running at all."""

import time
from typing import Any, Final

from interface.listening import PublishedLog

_SECONDS: Final = 15.0  # a broker may take 10 s to confirm


class PublishedProgress:
    """The state of one leader's log, from one look to the next."""

    def __init__(self, log: PublishedLog, recorder: Any) -> None:
        """``recorder`` is the leader's."""
        self.publisher = f"{log.leader}Publisher"
        self._log = log
        self._recorder = recorder
        self._upto: int | None = None  # None: nothing waited
        self._since = 0.0

    def standstill(self) -> str | None:
        """A reason, where events have waited for long and none was published."""
        upto = self._log.published().upto
        if upto >= (self._recorder.max_notification_id() or 0):
            self._upto = None
            return None
        now = time.monotonic()
        if upto != self._upto:
            self._upto, self._since = upto, now
        waited = now - self._since
        if waited <= _SECONDS:
            return None
        return (
            f"{self.publisher} has published nothing after position {upto} for {waited:.0f} s:"
            " does a process with the role engine or publisher run?"
        )
