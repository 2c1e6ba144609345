"""
Which next offset is safe to resume from, per partition.

Theory. A transfer *pins* its partition at the first offset it used there.
What a crash may lose is read again from the log, so the safe position is the
lower of the position itself and the lowest pin. Pins are set in offset order,
so the lowest pin is the oldest one that is still set: every operation is O(1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping

from filesync._model import TopicPartition

__all__ = ["Positions"]


class Positions:
    """
    The position of every partition that is read, and what pins it.

    A pin belongs to a *holder*; one holder may pin several partitions, each
    at most once.
    """

    def __init__(self) -> None:
        self._reading: dict[TopicPartition, int] = {}
        self._pins: dict[TopicPartition, OrderedDict[Hashable, int]] = {}

    def start(self, source: TopicPartition, position: int) -> None:
        """Begin to read *source* at *position*; its pins are gone."""
        self._reading[source] = position
        self._pins[source] = OrderedDict()

    def forget(self, source: TopicPartition) -> None:
        """*source* is no longer read."""
        self._reading.pop(source, None)
        self._pins.pop(source, None)

    def advance(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note where reading goes on; unknown partitions do not count."""
        for source, position in positions.items():
            if source in self._reading:
                self._reading[source] = position

    def pin(self, holder: Hashable, source: TopicPartition, offset: int) -> None:
        """Keep the safe position of *source* at or below *offset* until `release`."""
        pins = self._pins.get(source)
        if pins is not None:
            pins.setdefault(holder, offset)

    def release(self, holder: Hashable, sources: Iterable[TopicPartition]) -> None:
        """*holder* has an outcome that is durable: it pins none of *sources* any more."""
        for source in sources:
            pins = self._pins.get(source)
            if pins is not None:
                pins.pop(holder, None)

    def is_pinning(self, holder: Hashable) -> bool:
        """Whether *holder* pins any partition: whether it has no outcome yet."""
        return any(holder in pins for pins in self._pins.values())

    def reading(self) -> Mapping[TopicPartition, int]:
        """Return the position of every partition that is read."""
        return self._reading

    def safe(self, but: Hashable = None) -> dict[TopicPartition, int]:
        """Return the safe positions, as if the holder *but* pinned nothing."""
        return {
            source: self._lowest(source, position, but)
            for source, position in self._reading.items()
        }

    def _lowest(self, source: TopicPartition, position: int, but: Hashable) -> int:
        for holder, offset in self._pins[source].items():
            if holder != but:
                return min(offset, position)
        return position
