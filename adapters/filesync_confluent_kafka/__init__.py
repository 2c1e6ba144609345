"""Transport and producer for confluent-kafka, a client that wraps the C library librdkafka."""

from __future__ import annotations

from filesync import Settings
from filesync.producer import Producer
from filesync.transport import Transport

try:
    import confluent_kafka as _driver
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(
        "this adapter needs confluent-kafka: pip install 'kafka-filesync[confluent-kafka]'",
        name=exc.name,
    ) from exc
else:
    del _driver

from filesync_confluent_kafka._producer import ConfluentKafkaProducer
from filesync_confluent_kafka._transport import ConfluentKafkaTransport

__all__ = ["ConfluentKafkaProducer", "ConfluentKafkaTransport", "open_producer", "open_transport"]


def open_transport(settings: Settings) -> Transport:
    """Return the transport for *settings*; nothing is read or connected before `start`."""
    return ConfluentKafkaTransport(settings)


def open_producer(settings: Settings, *, timeout: float) -> Producer:
    """Return the producer for *settings*; nothing is read or connected before `start`."""
    return ConfluentKafkaProducer(settings, timeout=timeout)
