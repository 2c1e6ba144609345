"""
A Kafka broker inside this process, for demonstrations and tests.

librdkafka carries one, its *mock cluster*: it speaks the Kafka protocol on a
loopback port, keeps everything in memory (at most 5 MiB a partition), and is
gone when it is closed. It is no broker for production.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import final

from confluent_kafka import KafkaError, Message, Producer

from filesync.exceptions import TransportError

__all__ = ["EmbeddedBroker"]

_TIMEOUT = 10.0


@final
class EmbeddedBroker:
    """
    One broker on loopback, and a producer for it; also a context manager.

    Attributes:
        address: ``host:port``.

    Raises:
        TransportError: It does not start.
    """

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": "embedded",
                "test.mock.num.brokers": 1,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "logger": logging.getLogger("filesync.embedded"),
            }
        )
        brokers = list(self._producer.list_topics(timeout=_TIMEOUT).brokers.values())
        if not brokers:
            raise TransportError("librdkafka's mock cluster does not answer")
        self.address = f"{brokers[0].host}:{brokers[0].port}"

    def __enter__(self) -> EmbeddedBroker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_topic(self, topic: str) -> None:
        """Create *topic*: the mock cluster does so when it is asked about it."""
        self._producer.list_topics(topic, timeout=_TIMEOUT)

    def publish(
        self, topic: str, records: Iterable[tuple[bytes, bytes, list[tuple[str, bytes]]]]
    ) -> None:
        """
        Send (key, value, headers), in order, and wait until all are acknowledged.

        Raises:
            TransportError: Some were not.
        """
        for key, value, headers in records:
            self._producer.produce(
                topic, value=value, key=key, headers=list(headers), on_delivery=self._delivered
            )
            self._producer.poll(0)
        left = self._producer.flush(_TIMEOUT)
        errors, self._errors = self._errors, []
        if left or errors:
            raise TransportError(f"{left} records were not sent; {'; '.join(errors)}")

    def close(self) -> None:
        """End the broker."""
        del self._producer

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._errors.append(str(error))
