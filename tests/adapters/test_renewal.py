"""A password or certificate that was replaced is used without a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from filesync.exceptions import TransportError
from filesync.testing import Reader
from filesync.transport import Transport
from support.promises import is_promised

if not is_promised("confluent-kafka", "confluent_kafka"):
    pytest.skip("this environment does not promise confluent-kafka", allow_module_level=True)

from filesync_kafka_common import renewal

if TYPE_CHECKING:
    from filesync_confluent_kafka import ConfluentKafkaTransport
    from filesync_kafka_python import KafkaPythonTransport
    from support.embedded import EmbeddedLog


@pytest.mark.parametrize("driver", ["confluent-kafka", "kafka-python"])
def test_the_connection_is_renewed_while_the_broker_is_away(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    """Reading goes on where it was: nothing is lost, repeated or found again."""
    if not is_promised("kafka-python", "kafka") and driver == "kafka-python":
        pytest.skip("this environment does not promise kafka-python")
    confluent = driver == "confluent-kafka"
    broker: EmbeddedLog = request.getfixturevalue("broker" if confluent else "old_broker")
    opener = request.getfixturevalue("open_on" if confluent else "open_python_on")
    open_on = cast("Callable[[EmbeddedLog, str], Transport]", opener)
    # The embedded broker asks for no password: only the replaced file is played.
    files = [b"old"]

    def look(_settings: object) -> bytes:
        if files[-1] == b"half-written":
            raise TransportError("kafka.sasl-password-file: it is empty")
        return files[-1]

    monkeypatch.setattr(renewal, "fingerprint", look)
    monkeypatch.setattr(renewal, "_EVERY", 0.0)
    broker.create_topic("renewal", 2)
    broker.publish("renewal", b"0")
    transport = cast("ConfluentKafkaTransport | KafkaPythonTransport", open_on(broker, "renewal"))
    transport.start()
    reader = Reader(transport)
    reader.assign_all(2)
    reader.read_on(1)
    clients = transport._clients

    broker.stop()
    try:
        reader.until(lambda: not reader.transport.health().up)
        reader.poll()
        files.append(b"half-written")
        reader.poll()
        assert transport._clients is clients
        files.append(b"new")
        reader.poll()
        assert transport._clients is not clients
        clients = transport._clients
    finally:
        broker.start()
    broker.publish("renewal", b"1")
    broker.publish("renewal", b"2", partition=1)

    reader.read_on(3)
    assert sorted(str(value) for value in reader.values) == ["b'0'", "b'1'", "b'2'"]
    assert len(reader.faults) == 2
    assert transport._clients is clients
