"""
Clients end where they are let go, in a thread of ours.

Were one left to the garbage collector, that could run in one of the driver's
own threads, and the driver aborts the process that ends a client there.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from filesync import KafkaSettings, Settings, TopicPartition
from filesync.transport import Transport
from support.promises import is_promised
from support.waiting import eventually

if not is_promised("confluent-kafka", "confluent_kafka"):
    pytest.skip("this environment does not promise confluent-kafka", allow_module_level=True)

from filesync_confluent_kafka import ConfluentKafkaProducer, ConfluentKafkaTransport

if TYPE_CHECKING:
    from support.embedded import EmbeddedLog

Open = Callable[["EmbeddedLog", str], Transport]


@pytest.fixture(name="uncollected", autouse=True)
def _uncollected() -> Iterator[None]:
    """Nothing ends but by being let go."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _look(transport: ConfluentKafkaTransport, word: str) -> None:
    """Poll until the cause has *word*."""

    def told() -> bool:
        transport.poll(0.1, 10, lambda _key, _headers: True)
        return word in transport.health().cause

    eventually(told, 20, what=word)


def _used(open_on: Open, broker: EmbeddedLog, topic: str) -> ConfluentKafkaTransport:
    """Return a transport that has met what fails: no topic, no broker, offsets refused."""
    transport = cast("ConfluentKafkaTransport", open_on(broker, topic))
    transport.start()
    _look(transport, "there is no topic")
    assert transport.commit_offsets({TopicPartition(topic, 0): 1}).error
    broker.stop()
    try:
        _look(transport, "cannot reach")
    finally:
        broker.start()
    _look(transport, "there is no topic")
    return transport


def _clients(transport: ConfluentKafkaTransport) -> list[weakref.ref[Any]]:
    clients = transport._clients
    assert clients is not None
    return [weakref.ref(clients.admin), weakref.ref(clients.store)]


def test_closed_its_clients_are_gone(open_on: Open, broker: EmbeddedLog) -> None:
    """Whatever failed before."""
    transport = _used(open_on, broker, "ends-closed")
    clients = _clients(transport)
    transport.close(5)
    assert [client() for client in clients] == [None, None]


def test_forgotten_its_clients_are_gone(broker: EmbeddedLog) -> None:
    """Whoever does not close it has no worse an end."""
    settings = Settings(
        hostname="ns1.example",
        kafka=KafkaSettings(topic="ends-forgotten", servers=(broker.address,)),
    )
    transport = ConfluentKafkaTransport(settings)
    transport.start()
    _look(transport, "there is no topic")
    clients = _clients(transport)
    del transport
    assert [client() for client in clients] == [None, None]


def test_a_producer_that_is_closed_is_gone(broker: EmbeddedLog) -> None:
    """Its admin client too."""
    settings = Settings(
        hostname="ns1.example",
        kafka=KafkaSettings(topic="ends-producer", servers=(broker.address,)),
    )
    producer = ConfluentKafkaProducer(settings, timeout=5)
    producer.start()

    def told() -> bool:
        producer.poll(0.1)
        return "there is no topic" in producer.health().cause

    eventually(told, 20)
    discovery = producer._discovery
    assert discovery is not None
    admin = weakref.ref(cast("Any", discovery._asker)._admin)
    del discovery
    producer.close(5)
    assert admin() is None
