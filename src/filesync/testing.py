"""
What tests of filesync's users can lean on: doubles, and the transport contract.

`MemoryBroker`, `MemoryTransport` and `MemoryProducer` stand in for Kafka, `ManualClock` for the
time. `TransportContract` is what whoever writes a transport runs; it is the
only name here that needs pytest to be of use.
"""

from __future__ import annotations

import sys

if "pytest" in sys.modules:  # pragma: no branch - our own tests run under it
    # So that a test of the contract that fails shows what it compared.
    sys.modules["pytest"].register_assert_rewrite("filesync.runtime._contract")

from filesync.runtime._contract import Log, OpenTransport, Reader, TransportContract
from filesync.runtime._memory import MemoryBroker, MemoryTransport
from filesync.runtime._memory_producer import MemoryProducer

__all__ = [
    "Log",
    "ManualClock",
    "MemoryBroker",
    "MemoryProducer",
    "MemoryTransport",
    "OpenTransport",
    "Reader",
    "TransportContract",
]


class ManualClock:
    """
    A clock that stands still until it is told to go on.

    Attributes:
        now: Seconds; starts at *start* and never goes back.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start

    def __call__(self) -> float:
        """Return `now`, so that it fits where `time.monotonic` does."""
        return self.now

    def advance(self, seconds: float) -> float:
        """
        Go on by *seconds*, at least 0; return the new `now`.

        Raises:
            ValueError: *seconds* is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back: {seconds} s")
        self.now += seconds
        return self.now
