"""What the contract's tests are written with: a reader that remembers."""

# ruff: noqa: S101 - these are tests: they assert, and they act.

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from filesync._model import Headers, Record, TopicPartition
from filesync.transport import Fault, Matcher, PartitionFound, Polled, Transport

__all__ = ["Beside", "OpenTransport", "Part", "Reader", "everything"]

#: Opens a transport on a topic; not started. It is closed when the test ends.
OpenTransport = Callable[[str], Transport]

_Kind = TypeVar("_Kind", bound=Fault)


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
        return self.told(PartitionFound)

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

    def until(
        self,
        condition: Callable[[], object],
        *,
        timeout: float = 0.2,
        max_records: int = 500,
        wanted: Matcher = everything,
    ) -> None:
        """Poll until *condition*, which must come within `patience`."""
        deadline = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < deadline, f"not within {self.patience:g} s; {self}"
            self.poll(timeout, max_records=max_records, wanted=wanted)

    def until_at(self, *ends: int, wanted: Matcher = everything) -> None:
        """Poll until the position of partition 0 is the first of *ends*, and so on."""

        def reached() -> bool:
            positions = {source.partition: at for source, at in self.positions.items()}
            return all(positions.get(partition) == end for partition, end in enumerate(ends))

        self.until(reached, wanted=wanted)

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

    def told(self, kind: type[_Kind]) -> list[_Kind]:
        """Return the faults of one kind."""
        return [fault for fault in self.faults if isinstance(fault, kind)]

    def offsets(self, partition: int = 0) -> list[int]:
        """Return the offsets of the records of one partition, in the order of arrival."""
        return [each.offset for each in self.records if each.source.partition == partition]

    def __str__(self) -> str:
        return (
            f"{len(self.records)} records, positions {self.positions}, faults {self.faults}, "
            f"{self.transport.health()}"
        )


class Beside:
    """Does something in another thread a moment after the block was entered."""

    def __init__(self, work: Callable[[], object], *, after: float = 0.1) -> None:
        self._timer = threading.Timer(after, work)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.join()


class Part:
    """
    A part of the contract.

    Attributes:
        patience: Seconds to wait for what must come.
        outages: How often the broker goes and comes where that is all a test
            is about.
    """

    patience = 10.0
    outages = 5

    def start(self, open_transport: OpenTransport, topic: str) -> Reader:
        """Start a transport on *topic*."""
        transport = open_transport(topic)
        transport.start()
        return Reader(transport, self.patience)

    def read(self, open_transport: OpenTransport, topic: str, partitions: int = 1) -> Reader:
        """Start a transport on *topic*, and let it read *partitions* from their starts."""
        reader = self.start(open_transport, topic)
        reader.assign_all(partitions)
        return reader
