"""The transport for kafka-python, a client that is Python through and through."""

from __future__ import annotations

from filesync import Settings
from filesync.transport import Transport
from filesync_kafka_python._transport import KafkaPythonTransport

__all__ = ["KafkaPythonTransport", "open_transport"]


def open_transport(settings: Settings) -> Transport:
    """Return the transport for *settings*; nothing is read or connected before `start`."""
    return KafkaPythonTransport(settings)
