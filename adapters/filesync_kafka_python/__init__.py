"""Transport and producer for kafka-python, a client that is Python through and through."""

from __future__ import annotations

from filesync import Settings
from filesync.producer import Producer
from filesync.transport import Transport

try:
    import kafka as _driver
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(
        "this adapter needs kafka-python: pip install 'kafka-filesync[kafka-python]'",
        name=exc.name,
    ) from exc
else:
    del _driver

from filesync_kafka_python._producer import KafkaPythonProducer
from filesync_kafka_python._transport import KafkaPythonTransport

__all__ = ["KafkaPythonProducer", "KafkaPythonTransport", "open_producer", "open_transport"]


def open_transport(settings: Settings) -> Transport:
    """Return the transport for *settings*; nothing is read or connected before `start`."""
    return KafkaPythonTransport(settings)


def open_producer(settings: Settings, *, timeout: float) -> Producer:
    """Return the producer for *settings*; nothing is read or connected before `start`."""
    return KafkaPythonProducer(settings, timeout=timeout)
