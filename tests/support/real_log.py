"""A real Apache Kafka as the log of the transport contract: it dies by SIGKILL, and comes back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # Its stubs say nothing of them.
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from filesync import TopicPartition
from support.driver_log import DriverLog
from support.embedded import produce_undecodable
from support.kafka import KafkaBroker

__all__ = ["RealLog", "configure"]

_TIMEOUT = 30.0


class RealLog(DriverLog):
    """
    Steers *broker* as `filesync.testing.Log` says.

    Args:
        broker: Runs.
        group: Whose offsets `told` returns.
    """

    def __init__(self, broker: KafkaBroker, group: str) -> None:
        super().__init__(group, _TIMEOUT)
        self._broker = broker

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

    @cached_property
    def _producer(self) -> Producer:
        # Not idempotent: one record at a time needs no sequence, which a new topic would not know.
        return self._broker.producer(
            enable_idempotence=False,
            linger_ms=0,
            reconnect_backoff_ms=50,
            reconnect_backoff_max_ms=200,
        )


def configure(broker: KafkaBroker, kind: str, name: str, words: Mapping[str, str]) -> None:
    """Change settings of the topic or broker *name*."""
    entries = [
        ConfigEntry(word, value, incremental_operation=AlterConfigOpType.SET)
        for word, value in words.items()
    ]
    resource = ConfigResource(ConfigResource.Type[kind], name, incremental_configs=entries)
    for changed in broker.admin().incremental_alter_configs([resource]).values():
        changed.result(20)
