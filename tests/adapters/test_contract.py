"""Every transport keeps the contract: memory, and each driver's on an embedded broker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from filesync.testing import (
    MemoryBroker,
    MemoryTransport,
    OpenTransport,
    TransportContract,
)
from filesync.transport import Transport
from support.promises import is_promised

if TYPE_CHECKING:
    from support.embedded import EmbeddedLog


class TestMemory(TransportContract):
    """The transport that tests of everything else rest on."""

    @pytest.fixture(name="log")
    def _log(self) -> MemoryBroker:
        return MemoryBroker()

    @pytest.fixture(name="open_transport")
    def _open_transport(self, log: MemoryBroker) -> OpenTransport:
        return lambda topic: MemoryTransport(log, topic)


@pytest.mark.skipif(
    not is_promised("confluent-kafka", "confluent_kafka"),
    reason="this environment does not promise confluent-kafka",
)
class TestConfluentKafka(TransportContract):
    """The adapter for confluent-kafka."""

    outages = 2  # Each costs it a second; tests/broker has them all.

    @pytest.fixture(name="log")
    def _log(self, broker: EmbeddedLog) -> EmbeddedLog:
        return broker

    @pytest.fixture(name="open_transport")
    def _open_transport(
        self, broker: EmbeddedLog, open_on: Callable[[EmbeddedLog, str], Transport]
    ) -> OpenTransport:
        return partial(open_on, broker)


@pytest.mark.skipif(
    not (
        is_promised("kafka-python", "kafka") and is_promised("confluent-kafka", "confluent_kafka")
    ),
    reason="this environment does not promise kafka-python and an embedded broker",
)
class TestKafkaPython(TransportContract):
    """The adapter for kafka-python."""

    outages = 2

    @pytest.fixture(name="log")
    def _log(self, old_broker: EmbeddedLog) -> EmbeddedLog:
        return old_broker

    @pytest.fixture(name="open_transport")
    def _open_transport(
        self, old_broker: EmbeddedLog, open_python_on: Callable[[EmbeddedLog, str], Transport]
    ) -> OpenTransport:
        return partial(open_python_on, old_broker)
