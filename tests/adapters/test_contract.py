"""Every transport keeps the contract: memory, and each driver's on an embedded broker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from filesync.testing import (
    Log,
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

    @pytest.fixture(name="log")
    def _log(self, broker: EmbeddedLog) -> EmbeddedLog:
        return broker

    @pytest.fixture(name="open_transport")
    def _open_transport(
        self, broker: EmbeddedLog, open_on: Callable[[EmbeddedLog, str], Transport]
    ) -> OpenTransport:
        return partial(open_on, broker)

    def test_a_topic_that_was_recreated_is_another_one(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is told, where topics have ids."""
        if not cast("EmbeddedLog", log).tells_topic_ids:
            pytest.skip("this environment does not promise topic ids: its librdkafka is too old")
        super().test_a_topic_that_was_recreated_is_another_one(log, open_transport)

    def test_a_partition_that_is_added_is_found(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """See test_confluent_plain_broker: this one would create the topic anew, and say so."""
