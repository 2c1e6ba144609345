"""What the contract's tests are written with: a log to steer, a reader that remembers."""

# ruff: noqa: S101 - these are tests: they assert, and they act.

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Protocol

from filesync._model import Headers, Record, TopicPartition
from filesync.transport import Fault, Matcher, PartitionFound, Polled, Transport

__all__ = [
    "Beside",
    "Log",
    "OpenTransport",
    "Part",
    "Reader",
    "everything",
    "new_name",
    "new_topic",
    "publish",
]

#: Opens a transport on a topic; not started. It is closed when the test ends.
OpenTransport = Callable[[str], Transport]


class Log(Protocol):
    """A broker that can be steered. Offsets start at 0; what is published is at once readable."""

    def create_topic(self, name: str, partitions: int = 1) -> object:
        """Create a topic; raise when it exists."""

    def delete_topic(self, name: str) -> object:
        """Delete a topic."""

    def add_partitions(self, name: str, total: int) -> object:
        """Let a topic, to which nothing was published, have *total* partitions."""

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
        timestamp: float | None = None,
    ) -> object:
        """Append a record; return when it is in the log."""

    def publish_undecodable(self, topic: str) -> object:
        """Append to partition 0 a record with a header name that is not UTF-8."""

    def delete_records(self, source: TopicPartition, before: int) -> object:
        """Remove the records below offset *before*."""

    def stop(self) -> object:
        """Go away."""

    def start(self) -> object:
        """Come back, with everything that was there."""

    def told(self, source: TopicPartition) -> int | None:
        """Return what the transport under test told of *source*."""


def everything(_key: bytes | None, _headers: Headers) -> bool:
    """Want every record."""
    return True


class Reader:
    """
    A transport, and what it brought so far.

    Attributes:
        transport: Started.
        records: In the order in which they arrived.
        positions: The last one of each partition.
        passed_over: Records that were not wanted.
        faults: In order.
        patience: Seconds to wait for what must come.
    """

    def __init__(self, transport: Transport, patience: float = 10.0) -> None:
        self.transport = transport
        self.patience = patience
        self.records: list[Record] = []
        self.positions: dict[TopicPartition, int] = {}
        self.passed_over = 0
        self.faults: list[Fault] = []

    @property
    def found(self) -> list[PartitionFound]:
        """The partitions that were found, in order."""
        return [fault for fault in self.faults if isinstance(fault, PartitionFound)]

    @property
    def values(self) -> list[bytes | None]:
        """The values of the records."""
        return [record.value for record in self.records]

    def poll(
        self, timeout: float = 0.2, *, max_records: int = 500, wanted: Matcher = everything
    ) -> Polled:
        """Poll once, and add what that brought."""
        polled = self.transport.poll(timeout, max_records, wanted)
        self.records += polled.records
        self.positions.update(polled.positions)
        self.passed_over += polled.passed_over
        self.faults += polled.faults
        return polled

    def until(self, condition: Callable[[], object], *, wanted: Matcher = everything) -> None:
        """Poll until *condition*, which must come within `patience`."""
        deadline = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < deadline, f"not within {self.patience:g} s; {self}"
            self.poll(wanted=wanted)

    def read_on(self, count: int, *, wanted: Matcher = everything) -> None:
        """Poll until *count* records are here, and see that no more come."""
        self.until(lambda: len(self.records) >= count, wanted=wanted)
        self.poll(0.05, wanted=wanted)
        assert len(self.records) == count, self.records

    def assign_all(self, partitions: int, position: int | None = None) -> None:
        """Wait until so many partitions are found; read all from *position*, or their starts."""
        self.until(lambda: len(self.found) >= partitions)
        self.transport.assign(
            {each.source: each.start if position is None else position for each in self.found}
        )

    def told(self, kind: type[Fault]) -> list[Fault]:
        """Return the faults of one kind."""
        return [fault for fault in self.faults if isinstance(fault, kind)]

    def __str__(self) -> str:
        return (
            f"{len(self.records)} records, positions {self.positions}, faults {self.faults}, "
            f"{self.transport.health()}"
        )


def new_name() -> str:
    """Return a name for a topic that nobody has used."""
    return f"contract-{uuid.uuid4().hex}"


def new_topic(log: Log, partitions: int = 1) -> str:
    """Create a topic; return its name."""
    name = new_name()
    log.create_topic(name, partitions)
    return name


def publish(log: Log, topic: str, count: int, *, partition: int = 0) -> None:
    """Publish so many records, with their offsets as values."""
    for number in range(count):
        log.publish(topic, b"%d" % number, partition=partition)


class Beside:
    """Does something in another thread a moment after the block was entered."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._timer = threading.Timer(0.1, work)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.join()


class Part:
    """
    A part of the contract.

    Attributes:
        patience: Seconds to wait for what must come.
    """

    patience = 10.0

    def start(self, open_transport: OpenTransport, topic: str) -> Reader:
        """Start a transport on *topic*."""
        transport = open_transport(topic)
        transport.start()
        return Reader(transport, self.patience)
