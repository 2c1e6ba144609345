"""
Where records come from: a partitioned log, read from given positions.

Words. A *position* is the *next* offset to read in a partition. The *end* of
a partition is its last stable offset: what a reader of committed data can
reach now. *Weather* is what passes: a broker that is down, an unknown topic,
refused credentials, missing rights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import Factory

from filesync._lookup import load_adapter
from filesync._model import Headers, Record, TopicPartition
from filesync._values import frozen

__all__ = [
    "Fault",
    "Health",
    "Matcher",
    "OffsetsResult",
    "OutOfRange",
    "PartitionFound",
    "PartitionLost",
    "Polled",
    "TopicRecreated",
    "Transport",
    "Unreadable",
    "open_transport",
]

#: Says from key and headers whether a record is worth building.
Matcher = Callable[["bytes | None", Headers], bool]


@frozen(kw_only=True)
class PartitionFound:
    """
    A partition exists and is not read yet: `Transport.assign` starts that.

    Attributes:
        source: The partition.
        start: Its first offset that can still be read.
        end: Its end when it was found, the *next* offset to be written.
        topic_id: Changes when a topic is deleted and created again; None
            where the broker cannot tell.
        cluster_id: Which cluster; None where the broker cannot tell.
    """

    source: TopicPartition
    start: int
    end: int
    topic_id: str | None
    cluster_id: str | None


@frozen(kw_only=True)
class PartitionLost:
    """A partition is no longer there, and is no longer read."""

    source: TopicPartition


@frozen(kw_only=True)
class TopicRecreated:
    """
    The topic is another one now, with an empty past.

    Its partitions are no longer read; they are told anew by `PartitionFound`.
    """

    topic: str
    topic_id: str


@frozen(kw_only=True)
class OutOfRange:
    """
    A position is not in the log; the partition is not read until assigned.

    Attributes:
        source: The partition.
        position: The next offset that should have been read.
        start: First offset that can be read.
        end: End of the partition.
    """

    source: TopicPartition
    position: int
    start: int
    end: int


@frozen(kw_only=True)
class Unreadable:
    """One record could not be decoded and was passed over."""

    source: TopicPartition
    offset: int
    why: str


Fault = PartitionFound | PartitionLost | TopicRecreated | OutOfRange | Unreadable


@frozen(kw_only=True)
class Polled:
    """
    What one poll brought.

    Attributes:
        records: Those that were wanted, in offset order per partition.
        positions: The new position of every partition that moved, past
            unwanted records, control records and aborted transactions too.
        passed_over: Records that were not wanted, and so not built.
        faults: What was met beside records, in order.
    """

    records: Sequence[Record] = ()
    positions: Mapping[TopicPartition, int] = Factory(dict)
    passed_over: int = 0
    faults: Sequence[Fault] = ()


@frozen(kw_only=True)
class Health:
    """
    Whether the log can be read at the moment.

    Attributes:
        up: True after the broker answered, until it no longer does.
        cause: One line: what is wrong and what to do; or how it is connected.
    """

    up: bool
    cause: str


@frozen(kw_only=True)
class OffsetsResult:
    """How `Transport.commit_offsets` ended: *error* is None when stored."""

    error: str | None = None


class Transport(Protocol):
    """
    A partitioned log, read from the positions that it is given.

    Owned by one thread; only `wake` and `commit_offsets` may be called from
    others. Timeouts are seconds. Weather is told by `health`, never raised;
    what is raised is a `TransportError` after which the transport is of no
    more use. A driver's own exceptions never escape.
    """

    def start(self) -> None:
        """Begin. Waits for no broker: a bad configuration raises, weather does not."""

    def poll(self, timeout: float, max_records: int, wanted: Matcher) -> Polled:
        """
        Return what arrived within *timeout*; at once when something did.

        At most *max_records* are taken from the log. Only those whose key and
        headers *wanted* accepts are built; the others are counted.
        """

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """
        Read these partitions from these positions; leave the others alone.

        A partition that is read already goes on at its new position.
        """

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> OffsetsResult:
        """
        Tell the broker *offsets*, the next ones to read, for lag tools.

        Bounded to a few seconds. Never read back.
        """

    def health(self) -> Health:
        """Tell whether the log can be read. Free: asks nobody."""

    def wake(self) -> None:
        """Make a running or the next `poll` return early. From any thread."""

    def close(self, timeout: float) -> None:
        """End within *timeout*. Closing twice is fine; commits nothing."""


def open_transport(driver: str | None, settings: Any) -> Transport:
    """
    Return the transport that the installed packages know as *driver*.

    Args:
        driver: Name of an entry point in the group ``filesync.transports``;
            None takes the first, by name, whose driver is installed.
        settings: A `filesync.Settings`.

    Raises:
        DriverMissingError: The driver is not installed; the message gives the
            pip command.
        TransportError: No adapter has that name.
    """
    transport: Transport = load_adapter("transport", driver)(settings)
    return transport
