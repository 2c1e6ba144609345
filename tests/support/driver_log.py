"""What the logs of the transport contract have in common that are steered by confluent-kafka."""

from __future__ import annotations

from abc import ABC, abstractmethod

from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka import TopicPartition as DriverPartition

from filesync import TopicPartition
from filesync._model import Headers

__all__ = ["DriverLog"]


class DriverLog(ABC):
    """
    Publishes, and tells what the broker was told.

    Args:
        group: Whose offsets `told` returns.
        timeout: Seconds that a broker may take to answer.
    """

    def __init__(self, group: str, timeout: float) -> None:
        self._group = group
        self._timeout = timeout

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the broker listens: ``host:port``."""

    @property
    @abstractmethod
    def _producer(self) -> Producer: ...

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
        timestamp: float | None = None,
    ) -> None:
        """Append a record, and wait until that is acknowledged."""
        ended: list[KafkaError | None] = []

        def note(error: KafkaError | None, _message: Message) -> None:
            ended.append(error)

        self._producer.produce(
            topic,
            value=value,
            key=key,
            headers=list(headers),
            partition=partition,
            timestamp=0 if timestamp is None else round(timestamp * 1000),
            on_delivery=note,
        )
        self._producer.flush(self._timeout)
        if ended != [None]:
            raise OSError(f"not published: {ended[0] if ended else 'no answer'}")

    def told(self, source: TopicPartition) -> int | None:
        """Return what the broker was told for the group."""
        # An admin client gives up on a coordinator that is still loading; this one waits for it.
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": self._group})
        try:
            asked = [DriverPartition(source.topic, source.partition)]
            offset: int = consumer.committed(asked, timeout=self._timeout)[0].offset
        finally:
            consumer.close()
        return None if offset < 0 else offset
