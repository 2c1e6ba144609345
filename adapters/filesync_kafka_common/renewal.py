"""
When the driver's clients are opened anew.

A driver reads passwords, keys and certificates once. Who replaces them would
have to restart us, and would notice only when a connection is lost. Some do
not try again either where they were denied once, or ask anew where brokers are
once they knew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from filesync import Settings
from filesync.exceptions import TransportError
from filesync_kafka_common.secrets import fingerprint

__all__ = ["Renewal"]

#: Seconds between two looks at whether a file was replaced.
_EVERY = 5.0


class Renewal:
    """
    Knows whether the clients that are open should be replaced.

    Args:
        settings: They name the files.
        down_for: Seconds without any broker after which it is time.
        denied_for: Seconds after which clients that were never let in are
            replaced; those that were let in before are at once.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        down_for: float = inf,
        denied_for: float = inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._down_for = down_for
        self._denied_for = denied_for
        self._clock = clock
        self._fingerprint = b""
        self._opened_at = self._fair_at = self._look_at = 0.0
        self._denied = False

    def opened(self) -> None:
        """
        Note that clients are opened now.

        Raises:
            TransportError: A file cannot be read.
        """
        self._fingerprint = fingerprint(self._settings)
        self._opened_at = self._fair_at = self._clock()

    def is_due(self, *, fair: bool, denied: bool = False) -> bool:
        """Return whether to open clients anew; *denied*: a broker did not let these in."""
        now = self._clock()
        if fair:
            self._fair_at = now
        were_let_in = self._fair_at > self._opened_at
        if denied and not self._denied and were_let_in:
            # Such clients knock without a pause: no need to wait.
            self._look_at = now
        self._denied = denied
        if fair or now < self._look_at:
            return False
        self._look_at = now + _EVERY
        try:
            replaced = fingerprint(self._settings) != self._fingerprint
        except TransportError:
            return False  # It is being written just now, perhaps.
        waited = now - self._opened_at >= self._denied_for
        return (
            replaced
            or now - self._fair_at >= self._down_for
            or (denied and self._denied_for < inf and (were_let_in or waited))
        )
