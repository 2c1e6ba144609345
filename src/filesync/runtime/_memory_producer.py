"""The producer for the log in memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from filesync.exceptions import TransportError
from filesync.producer import Acknowledged, Delivery, NotDelivered, Outgoing
from filesync.runtime._memory import MemoryBroker
from filesync.transport import Health

__all__ = ["MemoryProducer"]


class MemoryProducer:
    """
    Sends to a `MemoryBroker`; see `filesync.producer.Producer`.

    Args:
        broker: Where to.
        topic: It may come later.
        timeout: Seconds that a record may wait for the broker.
        max_record_bytes: Larger values are refused, as a broker does.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        topic: str,
        *,
        timeout: float = 60.0,
        max_record_bytes: int = 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._topic = topic
        self._timeout = timeout
        self._max_record_bytes = max_record_bytes
        self._clock = clock
        self._under_way: deque[tuple[float, Outgoing]] = deque()
        self._started = self._closed = False

    def start(self) -> None:
        """
        Begin.

        Raises:
            TransportError: It has begun before.
        """
        if self._started:
            raise TransportError("a producer is started once")
        self._started = True

    def send(self, record: Outgoing) -> None:
        """Take *record*; the broker gets it by a later `poll`."""
        self._check()
        self._under_way.append((self._clock() + self._timeout, record))

    def poll(self, timeout: float) -> Sequence[Delivery]:
        """Return what became of records within *timeout* seconds; at once when something did."""
        self._check()
        until = self._clock() + timeout
        with self._broker.changed:
            while True:
                delivered = self._deliver()
                left = until - self._clock()
                if delivered or left <= 0:
                    return delivered
                self._broker.changed.wait(min([left, *self._dues()]))

    def health(self) -> Health:
        """Tell whether the broker answers, and has the topic."""
        if self._closed:
            return Health(up=False, cause="closed")
        with self._broker.changed:
            if not self._broker.up:
                return Health(up=False, cause="the broker in memory is stopped")
            if self._broker.find(self._topic) is None:
                return Health(up=False, cause=f"there is no topic {self._topic!r}")
            return Health(up=True, cause="connected to the broker in memory")

    def close(self, timeout: float) -> None:  # noqa: ARG002 - it takes no time
        """End; what is not acknowledged yet is given up. Closing twice is fine."""
        self._closed = True
        self._under_way.clear()

    def _check(self) -> None:
        if self._closed or not self._started:
            raise TransportError("the producer is not open")

    def _dues(self) -> list[float]:
        now = self._clock()
        return [max(0.0, due - now) for due, _ in list(self._under_way)[:1]]

    def _deliver(self) -> list[Delivery]:
        topic = self._broker.find(self._topic) if self._broker.up else None
        delivered: list[Delivery] = []
        while self._under_way:
            due, record = self._under_way[0]
            if len(record.value) > self._max_record_bytes:
                why = f"a record of {len(record.value)} bytes is too large: send smaller chunks"
                delivered.append(NotDelivered(ticket=record.ticket, why=why))
            elif topic is not None:
                partition = _murmur2(record.key) % len(topic.partitions)
                read = self._broker.publish(
                    self._topic,
                    record.value,
                    key=record.key,
                    headers=tuple(record.headers),
                    partition=partition,
                    timestamp=time.time(),
                )
                delivered.append(
                    Acknowledged(ticket=record.ticket, source=read.source, offset=read.offset)
                )
            elif due <= self._clock():
                why = f"not acknowledged within {self._timeout:g} s"
                delivered.append(NotDelivered(ticket=record.ticket, why=why, overdue=True))
            else:
                break
            self._under_way.popleft()
        return delivered


def _murmur2(key: bytes) -> int:
    """Return the hash, 31 bits of it, by which Kafka's own producer chooses a partition."""
    mixer, word = 0x5BD1E995, 0xFFFFFFFF
    whole = len(key) & ~3
    found = 0x9747B28C ^ len(key)
    for start in range(0, whole, 4):
        part = int.from_bytes(key[start : start + 4], "little") * mixer & word
        part = (part ^ part >> 24) * mixer & word
        found = (found * mixer & word) ^ part
    if whole < len(key):
        found = (found ^ int.from_bytes(key[whole:], "little")) * mixer & word
    found = (found ^ found >> 13) * mixer & word
    return (found ^ found >> 15) & 0x7FFFFFFF
