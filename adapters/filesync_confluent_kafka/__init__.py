"""The transport for confluent-kafka, a client that wraps the C library librdkafka."""

from __future__ import annotations

from filesync import Settings
from filesync.transport import Transport
from filesync_confluent_kafka._transport import ConfluentKafkaTransport

__all__ = ["ConfluentKafkaTransport", "open_transport"]


def open_transport(settings: Settings) -> Transport:
    """Return the transport for *settings*; nothing is read or connected before `start`."""
    return ConfluentKafkaTransport(settings)
