"""
Which next offset is safe to resume from, per partition.

Theory. A transfer *pins* its partition at the first offset it used there.
What a crash may lose is read again from the log, so the safe position is the
lower of the position itself and the lowest pin. Pins are set in offset order,
so the lowest pin is the oldest one that is still set.

And the safe position never lies *inside* a transfer that has ended: its tail,
read again without its head, would look like the start of something else. A
transfer that ended while an older pin, or a pin among its own records, was
set leaves its *span* behind until the safe position is past it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from itertools import chain

from attrs import define, field

from filesync._model import TopicPartition

__all__ = ["Positions"]


@define
class _Span:
    """Offsets of the first and the last record that a transfer used."""

    first: int
    last: int

    def splits_at(self, position: int) -> bool:
        """Whether reading from *position* would see its tail and not its head."""
        return self.first < position <= self.last


@define
class _Partition:
    position: int
    pins: OrderedDict[Hashable, _Span] = field(factory=OrderedDict)
    ended: list[_Span] = field(factory=list)

    def safe(self, but: Hashable) -> int:
        position, ended = self.position, self.ended
        for holder, span in self.pins.items():
            if holder != but:
                position = min(position, span.first)
                break
        if but in self.pins:
            ended = [*ended, self.pins[but]]
        moved = True
        while moved:
            lower = min((span.first for span in ended if span.splits_at(position)), default=None)
            moved = lower is not None
            position = position if lower is None else lower
        return position


class Positions:
    """
    The position of every partition that is read, and what pins it.

    A pin belongs to a *holder*; one holder may pin several partitions.
    """

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, _Partition] = {}

    def start(self, source: TopicPartition, position: int) -> None:
        """Begin to read *source* at *position*; its pins are gone."""
        self._partitions[source] = _Partition(position)

    def forget(self, source: TopicPartition) -> None:
        """*source* is no longer read."""
        self._partitions.pop(source, None)

    def advance(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note where reading goes on; unknown partitions do not count."""
        for source, position in positions.items():
            partition = self._partitions.get(source)
            if partition is not None:
                partition.position = position

    def pin(self, holder: Hashable, source: TopicPartition, offset: int) -> None:
        """*holder* used the record at *offset*: keep what it used until `release`."""
        partition = self._partitions.get(source)
        if partition is None:
            return
        span = partition.pins.get(holder)
        if span is None:
            partition.pins[holder] = _Span(offset, offset)
        else:
            span.last = offset

    def release(self, holder: Hashable, sources: Iterable[TopicPartition]) -> None:
        """*holder* has an outcome that is durable: it pins none of *sources* any more."""
        for source in sources:
            partition = self._partitions.get(source)
            if partition is None:
                continue
            span = partition.pins.pop(holder, None)
            if span is None:
                continue
            # Only a pin that is set now, or what it leads to, can ever be the
            # safe position.
            others = chain(partition.pins.values(), partition.ended)
            if span.last > span.first and any(span.splits_at(other.first) for other in others):
                partition.ended.append(span)
            position = partition.safe(None)
            partition.ended = [ended for ended in partition.ended if ended.last >= position]

    def is_pinning(self, holder: Hashable) -> bool:
        """Whether *holder* pins any partition: whether it has no outcome yet."""
        return any(holder in partition.pins for partition in self._partitions.values())

    def reading(self) -> dict[TopicPartition, int]:
        """Return the position of every partition that is read."""
        return {source: partition.position for source, partition in self._partitions.items()}

    def safe(self, but: Hashable = None) -> dict[TopicPartition, int]:
        """Return the safe positions, as if the holder *but* had ended."""
        return {source: partition.safe(but) for source, partition in self._partitions.items()}
