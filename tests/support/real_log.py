"""A real Apache Kafka as the log of the transport contract: it dies by SIGKILL, and comes back."""

from __future__ import annotations

from functools import cached_property

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)
from confluent_kafka import TopicPartition as DriverPartition

from filesync import TopicPartition
from filesync._model import Headers
from support.embedded import produce_undecodable
from support.kafka import KafkaBroker

__all__ = ["RealLog"]

_TIMEOUT = 30.0


class RealLog:
    """
    Steers *broker* as `filesync.testing.Log` says.

    Args:
        broker: Runs.
        group: Whose offsets `told` returns.
    """

    def __init__(self, broker: KafkaBroker, group: str) -> None:
        self._broker = broker
        self._group = group

    @property
    def address(self) -> str:
        """Where the broker listens: ``host:port``."""
        return self._broker.bootstrap

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic that keeps its records, however old their timestamps are."""
        self._broker.create_topic(name, partitions, {"retention.ms": "-1"})

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        self._broker.delete_topic(name)

    def add_partitions(self, name: str, total: int) -> None:
        """Let a topic have *total* partitions."""
        self._broker.add_partitions(name, total)

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
        self._producer.flush(_TIMEOUT)
        if ended != [None]:
            raise OSError(f"not published: {ended[0] if ended else 'no answer'}")

    def publish_undecodable(self, topic: str) -> None:
        """Append to partition 0 a record that no reader can decode."""
        produce_undecodable(self.address, topic)

    def delete_records(self, source: TopicPartition, before: int) -> None:
        """Remove what *source* has below offset *before*."""
        self._broker.delete_records(source.topic, before, source.partition)

    def stop(self) -> None:
        """End the process as a crash does."""
        self._broker.kill()

    def start(self) -> None:
        """Start it again, at the same address, with all that it acknowledged."""
        self._broker.start()

    def is_coordinated(self) -> bool:
        """Whether offsets can be told: at first, and after a start, that takes a moment."""
        try:
            self.told(TopicPartition("unused", 0))
        except KafkaException:
            return False
        return True

    def told(self, source: TopicPartition) -> int | None:
        """Return what the broker was told for the group."""
        # An admin client gives up on a coordinator that is still loading; this one waits for it.
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": self._group})
        try:
            asked = [DriverPartition(source.topic, source.partition)]
            offset: int = consumer.committed(asked, timeout=_TIMEOUT)[0].offset
        finally:
            consumer.close()
        return None if offset < 0 else offset

    @cached_property
    def _producer(self) -> Producer:
        # Not idempotent: one record at a time needs no sequence, which a new topic would not know.
        return self._broker.producer(
            enable_idempotence=False,
            linger_ms=0,
            reconnect_backoff_ms=50,
            reconnect_backoff_max_ms=200,
        )
