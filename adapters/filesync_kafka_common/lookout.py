"""
What becomes of one topic: pure. Somebody else looks at it, now and then.

Without topic ids a topic that was deleted and created again would be read on
in the middle of its new log, without a word; no reading client notices.

A partition that is missing once may be missing in one broker's memory only:
it is lost when it is missing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from filesync import TopicPartition
from filesync.transport import (
    Fault,
    OutOfRange,
    PartitionFound,
    PartitionLost,
    TopicRecreated,
    Unreadable,
)

__all__ = ["Extent", "Lookout", "Seen", "connection_line", "let_go_by"]

#: The first offset that can be read, and the next one to be written.
Extent = tuple[int, int]


@frozen(kw_only=True)
class Seen:
    """
    What one look saw.

    Attributes:
        partitions: Numbers of those that exist; None: there is no such topic.
        topic_id: None where the broker cannot tell.
        cluster_id: Likewise.
        extents: Of those that were measured.
    """

    partitions: frozenset[int] | None
    topic_id: str | None = None
    cluster_id: str | None = None
    extents: Mapping[int, Extent] = {}


def let_go_by(
    faults: Iterable[Fault], assigned: Iterable[TopicPartition]
) -> frozenset[TopicPartition]:
    """Return which of the *assigned* partitions must not be read on after *faults*."""
    assigned = frozenset(assigned)
    leaving: frozenset[TopicPartition] = frozenset()
    for fault in faults:
        match fault:
            case TopicRecreated():
                leaving = assigned
            case PartitionLost(source=source) | OutOfRange(source=source):
                leaving |= assigned & {source}
            case PartitionFound() | Unreadable():
                pass  # Whoever is told decides.
    return leaving


class Lookout:
    """
    Remembers what was seen of *topic*, and tells what has changed.

    Args:
        topic: Its name.
        measured: Whether a partition is found when it was measured. Otherwise it is when it was
            seen, and nobody is told.
    """

    def __init__(self, topic: str, *, measured: bool = True) -> None:
        self._topic = topic
        self._measured = measured
        self._topic_id: str | None = None
        self._found: set[int] = set()
        self._absent: set[int] = set()
        self._strayed: dict[int, int] = {}

    def unmeasured(self, partitions: Iterable[int], topic_id: str | None) -> frozenset[int]:
        """Of *partitions* that exist, return those whose extent is needed."""
        if not self._measured:
            return frozenset()
        present = frozenset(partitions)
        if self._is_another(topic_id):
            return present
        return present - self._found | self._strayed.keys() & present

    def stray(self, partition: int, position: int) -> None:
        """Note that *position* is not in the log; it is told with the log's extent."""
        self._strayed[partition] = position

    def settle(self, partition: int) -> None:
        """Note that *partition* is read from another position now."""
        self._strayed.pop(partition, None)

    def is_complete(self, seen: Seen) -> bool:
        """Whether nothing is left to be found out, after *seen* was judged."""
        return seen.partitions == frozenset(self._found) and not self._strayed

    def judge(self, seen: Seen) -> list[Fault]:
        """Return what has changed, in the order in which it should be heeded."""
        faults: list[Fault] = []
        partitions = seen.partitions or frozenset()
        if self._is_another(seen.topic_id):
            faults.append(TopicRecreated(topic=self._topic, topic_id=str(seen.topic_id)))
            self._found.clear()
            self._absent.clear()
            self._strayed.clear()
        self._topic_id = seen.topic_id or self._topic_id
        absent = self._found - partitions
        for partition in sorted(absent & self._absent):
            faults.append(PartitionLost(source=TopicPartition(self._topic, partition)))
            self._found.discard(partition)
            self._strayed.pop(partition, None)
        self._absent = absent & self._found
        if self._measured:
            faults += self._measurements(seen)
        else:
            self._found |= partitions
        return faults

    def _measurements(self, seen: Seen) -> Iterable[Fault]:
        for partition, (start, end) in sorted(seen.extents.items()):
            source = TopicPartition(self._topic, partition)
            if partition not in self._found:
                self._found.add(partition)
                yield PartitionFound(
                    source=source,
                    start=start,
                    end=end,
                    topic_id=seen.topic_id,
                    cluster_id=seen.cluster_id,
                )
            elif partition in self._strayed:
                position = self._strayed.pop(partition)
                yield OutOfRange(source=source, position=position, start=start, end=end)

    def _is_another(self, topic_id: str | None) -> bool:
        return None not in {topic_id, self._topic_id} and topic_id != self._topic_id


def connection_line(servers: str, topic: str, seen: Seen) -> str:
    """Return in one line what is connected: a cause of good health."""
    cluster = f" of cluster {seen.cluster_id}" if seen.cluster_id else ""
    number = len(seen.partitions or ())
    partitions = "1 partition" if number == 1 else f"{number} partitions"
    return f"connected to {servers}{cluster}; {topic!r} has {partitions}"
