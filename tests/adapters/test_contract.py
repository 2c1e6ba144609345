"""Every transport keeps the contract: memory, and each driver's on an embedded broker."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from filesync import KafkaSettings, Settings
from filesync.testing import (
    Log,
    MemoryBroker,
    MemoryTransport,
    OpenTransport,
    TransportContract,
)
from filesync.transport import Transport

if TYPE_CHECKING:
    from support.embedded import EmbeddedLog

_GROUP = "contract"


def _promised(name: str, driver: str | None = None) -> pytest.MarkDecorator:
    """Skip what tox does not promise here; without tox, what is not installed."""
    promise = os.environ.get("FILESYNC_TRANSPORTS")
    if promise is not None:
        promised = name in promise.split(",")
    else:
        promised = driver is None or importlib.util.find_spec(driver) is not None
    return pytest.mark.skipif(not promised, reason=f"this environment does not promise {name}")


@_promised("memory")
class TestMemory(TransportContract):
    """The transport that tests of everything else rest on."""

    @pytest.fixture(name="log")
    def _log(self) -> MemoryBroker:
        return MemoryBroker()

    @pytest.fixture(name="open_transport")
    def _open_transport(self, log: MemoryBroker) -> OpenTransport:
        return lambda topic: MemoryTransport(log, topic)


@pytest.fixture(scope="module", name="embedded", params=["topic ids", "no topic ids"])
def _embedded(request: pytest.FixtureRequest) -> Iterator[EmbeddedLog]:
    """One broker for all tests: each uses topics of its own."""
    from support.embedded import EmbeddedLog  # noqa: PLC0415 - needs the driver

    log = EmbeddedLog(_GROUP, topic_ids=request.param == "topic ids")
    yield log
    log.close()


@_promised("confluent-kafka", "confluent_kafka")
class TestConfluentKafka(TransportContract):
    """The adapter for confluent-kafka, at brokers that tell topic ids and at those that do not."""

    @pytest.fixture(name="log")
    def _log(self, embedded: EmbeddedLog) -> EmbeddedLog:
        return embedded

    @pytest.fixture(name="open_transport")
    def _open_transport(self, log: EmbeddedLog) -> Iterator[OpenTransport]:
        from filesync_confluent_kafka import ConfluentKafkaTransport  # noqa: PLC0415

        opened: list[Transport] = []

        def open_transport(topic: str) -> Transport:
            settings = Settings(
                hostname="contract.example",
                kafka=KafkaSettings(topic=topic, servers=(log.address,), group=_GROUP),
            )
            opened.append(ConfluentKafkaTransport(settings, refresh=0.3))
            return opened[-1]

        yield open_transport
        for transport in opened:
            transport.close(5)

    def test_a_topic_that_was_recreated_is_another_one(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is told, where topics have ids."""
        if not _of(log).tells_topic_ids:
            pytest.skip("without a topic id nobody can tell")
        super().test_a_topic_that_was_recreated_is_another_one(log, open_transport)

    def test_a_partition_that_is_added_is_found(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Those that were there are not told again."""
        if _of(log).tells_topic_ids:
            pytest.skip("the embedded broker adds partitions to another topic of the same name")
        super().test_a_partition_that_is_added_is_found(log, open_transport)


def _of(log: Log) -> EmbeddedLog:
    return cast("EmbeddedLog", log)
