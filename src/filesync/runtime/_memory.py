"""
A log in memory: for tests, and for a demonstration without a broker.

Theory. It has what a broker has and what a reader must cope with: partitions,
heads that are cut off, topics that come, go and come again, gaps where a
transaction was aborted, records that nobody can decode, weather. It has no
network, so nothing is ever late: a poll ends the moment something is there.
There is one lock, the broker's; values are kept, not copied.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from attrs import Factory, define

from filesync._model import Headers, Record, TopicPartition
from filesync.exceptions import TransportError
from filesync.transport import (
    Fault,
    Health,
    Matcher,
    OffsetsResult,
    OutOfRange,
    PartitionFound,
    PartitionLost,
    Polled,
    TopicRecreated,
    Unreadable,
)

__all__ = ["MemoryBroker", "MemoryTransport"]


@define
class _Partition:
    """Entries from offset *start* on: a record, why it is unreadable, or a gap."""

    start: int = 0
    entries: list[Record | str | None] = Factory(list)

    @property
    def end(self) -> int:
        return self.start + len(self.entries)


@define
class _Topic:
    topic_id: str
    partitions: list[_Partition]


class MemoryBroker:
    """
    Keeps topics. Every method may be called from any thread.

    Attributes:
        changed: Is notified of every change; whoever holds it sees none.
        committed: What was told by `Transport.commit_offsets`.
        up: False between `stop` and `start`.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.committed: dict[TopicPartition, int] = {}
        self.up = True
        self._topics: dict[str, _Topic] = {}
        self._created = 0

    def create_topic(self, name: str, partitions: int = 1) -> str:
        """Create topic *name*; return its topic id."""
        with self.changed:
            if name in self._topics:
                raise ValueError(f"there is a topic {name!r} already")
            self._created += 1
            topic = _Topic(f"id-{self._created}", [_Partition() for _ in range(partitions)])
            self._topics[name] = topic
            self.changed.notify_all()
            return topic.topic_id

    def delete_topic(self, name: str) -> None:
        """Delete topic *name*, and what was committed of it."""
        with self.changed:
            del self._topics[name]
            for source in [source for source in self.committed if source.topic == name]:
                del self.committed[source]
            self.changed.notify_all()

    def recreate(self, name: str, partitions: int | None = None) -> str:
        """Delete topic *name* and create it in one go; return the new topic id."""
        with self.changed:
            count = len(self._topics[name].partitions) if partitions is None else partitions
            self.delete_topic(name)
            return self.create_topic(name, count)

    def add_partitions(self, name: str, total: int) -> None:
        """Let topic *name* have *total* partitions; those it has are kept."""
        with self.changed:
            present = self._topics[name].partitions
            present += [_Partition() for _ in range(total - len(present))]
            self.changed.notify_all()

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
        timestamp: float | None = None,
    ) -> Record:
        """
        Append a record; return it as it will be read.

        Args:
            topic: Must exist.
            value: None is a tombstone.
            key: None and ``b""`` are different.
            headers: In this order, repeats kept.
            partition: From 0; must exist.
            timestamp: Seconds since 1970; None: the record has none.
        """
        with self.changed:
            source = TopicPartition(topic, partition)
            log = self._partition(source)
            record = Record(source, log.end, timestamp, key, value, tuple(headers))
            self._append(log, record)
            return record

    def publish_undecodable(self, topic: str, partition: int = 0) -> int:
        """Append a record that no reader can decode; return its offset."""
        return self._append(
            self._partition(TopicPartition(topic, partition)),
            "a header name is not UTF-8",
        )

    def skip(self, topic: str, partition: int = 0) -> int:
        """Use up an offset, as an aborted record or the end of a transaction does; return it."""
        return self._append(self._partition(TopicPartition(topic, partition)), None)

    def delete_records(self, source: TopicPartition, before: int) -> None:
        """Remove what *source* has below offset *before*."""
        with self.changed:
            log = self._partition(source)
            keep_from = min(max(before, log.start), log.end)
            del log.entries[: keep_from - log.start]
            log.start = keep_from
            self.changed.notify_all()

    def told(self, source: TopicPartition) -> int | None:
        """Return what was committed of *source*."""
        with self.changed:
            return self.committed.get(source)

    def stop(self) -> None:
        """Answer nobody until `start`."""
        with self.changed:
            self.up = False
            self.changed.notify_all()

    def start(self) -> None:
        """Answer again; everything is still there."""
        with self.changed:
            self.up = True
            self.changed.notify_all()

    def find(self, name: str) -> _Topic | None:
        """Return topic *name*, to be read while `changed` is held."""
        return self._topics.get(name)

    def _partition(self, source: TopicPartition) -> _Partition:
        return self._topics[source.topic].partitions[source.partition]

    def _append(self, log: _Partition, entry: Record | str | None) -> int:
        with self.changed:
            log.entries.append(entry)
            self.changed.notify_all()
            return log.end - 1


class MemoryTransport:
    """
    Reads *topic* of *broker*; see `filesync.transport.Transport`.

    `wake`, and whatever happens to the broker, ends a running `poll` at once.
    """

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._started = self._closed = self._woken = False
        self._topic_id: str | None = None
        self._found: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._health = Health(up=False, cause="not started")

    def start(self) -> None:
        """Begin, once; nothing can be wrong with the configuration."""
        with self._broker.changed:
            if self._started or self._closed:
                raise TransportError("a transport is started once")
            self._started = True

    def poll(self, timeout: float, max_records: int, wanted: Matcher) -> Polled:
        """Return what is there; wait for it at most *timeout* seconds."""
        deadline = time.monotonic() + timeout
        changed = self._broker.changed
        with changed:
            while True:
                self._check_usable()
                polled = self._look(max_records, wanted) if self._broker.up else Polled()
                if polled.positions or polled.faults or self._woken:
                    self._woken = False
                    return polled
                left = deadline - time.monotonic()
                if left <= 0:
                    return polled
                changed.wait(left)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these positions."""
        with self._broker.changed:
            self._check_usable()
            self._positions.update(positions)

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> OffsetsResult:
        """Store *offsets* in `MemoryBroker.committed`."""
        with self._broker.changed:
            if self._closed or not (self._started and self._broker.up):
                return OffsetsResult(error=self.health().cause)
            topic = self._broker.find(self._topic)
            known = 0 if topic is None else len(topic.partitions)
            stray = [source for source in offsets if source.partition >= known]
            if stray:
                return OffsetsResult(error=f"there is no partition {stray[0]}")
            self._broker.committed.update(offsets)
            return OffsetsResult()

    def health(self) -> Health:
        """Tell whether the log can be read."""
        with self._broker.changed:
            health = self._judge()
            if health != self._health:
                self._health = health
            return self._health

    def wake(self) -> None:
        """Make a running or the next `poll` return at once."""
        with self._broker.changed:
            self._woken = True
            self._broker.changed.notify_all()

    def close(self, timeout: float) -> None:  # noqa: ARG002 - there is nothing to wait for
        """End at once."""
        with self._broker.changed:
            self._closed = True
            self._broker.changed.notify_all()

    def _check_usable(self) -> None:
        if self._closed:
            raise TransportError("the transport is closed")
        if not self._started:
            raise TransportError("the transport was not started")

    def _judge(self) -> Health:
        if self._closed:
            return Health(up=False, cause="closed")
        if not self._started:
            return Health(up=False, cause="not started")
        if not self._broker.up:
            return Health(up=False, cause="the memory broker is stopped: start it")
        if self._broker.find(self._topic) is None:
            return Health(up=False, cause=f"there is no topic {self._topic!r}: create it")
        return Health(up=True, cause=f"reading {self._topic!r} of a memory broker")

    def _look(self, max_records: int, wanted: Matcher) -> Polled:
        topic = self._broker.find(self._topic)
        faults = list(self._notice(topic))
        if faults or topic is None:
            return Polled(faults=faults)
        return self._read(topic, max_records, wanted)

    def _notice(self, topic: _Topic | None) -> Iterator[Fault]:
        """Yield what happened to the topic since the last look."""
        if topic is None:
            for source in sorted(self._found):
                yield PartitionLost(source=source)
            self._forget()
            return
        if self._topic_id is not None and self._topic_id != topic.topic_id:
            yield TopicRecreated(topic=self._topic, topic_id=topic.topic_id)
            self._forget()
        self._topic_id = topic.topic_id
        for number, log in enumerate(topic.partitions):
            source = TopicPartition(self._topic, number)
            if source not in self._found:
                self._found.add(source)
                yield PartitionFound(
                    source=source,
                    start=log.start,
                    end=log.end,
                    topic_id=topic.topic_id,
                    cluster_id="memory",
                )

    def _forget(self) -> None:
        self._found.clear()
        self._positions.clear()

    def _read(self, topic: _Topic, max_records: int, wanted: Matcher) -> Polled:
        records: list[Record] = []
        faults: list[Fault] = []
        moved: dict[TopicPartition, int] = {}
        taken = passed_over = 0
        for source, position in self._in_turn(topic):
            log = topic.partitions[source.partition]
            if not log.start <= position <= log.end:
                del self._positions[source]
                faults.append(
                    OutOfRange(source=source, position=position, start=log.start, end=log.end)
                )
                continue
            first = position - log.start
            entries = log.entries[first : first + max_records - taken]
            for offset, entry in enumerate(entries, position):
                if isinstance(entry, str):
                    faults.append(Unreadable(source=source, offset=offset, why=entry))
                elif entry is None:
                    continue
                elif wanted(entry.key, entry.headers):
                    records.append(entry)
                else:
                    passed_over += 1
            if entries:
                taken += len(entries)
                # The one that was served goes to the end of the queue.
                del self._positions[source]
                self._positions[source] = moved[source] = position + len(entries)
        return Polled(records=records, positions=moved, passed_over=passed_over, faults=faults)

    def _in_turn(self, topic: _Topic) -> Sequence[tuple[TopicPartition, int]]:
        """Return the partitions that are read and exist, those served longest ago first."""
        there = len(topic.partitions)
        return [(s, at) for s, at in self._positions.items() if s.partition < there]
