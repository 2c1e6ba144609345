"""Every driver's transport keeps the contract on a real broker, which is killed and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import pytest

from filesync import KafkaSettings, Settings
from filesync.testing import OpenTransport, TransportContract
from filesync.transport import Transport
from filesync_confluent_kafka import ConfluentKafkaTransport
from filesync_kafka_python import KafkaPythonTransport
from support.kafka import KafkaBroker
from support.real_log import RealLog
from support.waiting import eventually

pytestmark = pytest.mark.kafka

_GROUP = "contract"

#: Seconds between two looks at the topic: production's would be long for a test.
_REFRESH = 0.3


class _OnARealBroker(TransportContract):
    """
    The contract, for one driver.

    Attributes:
        factory: Opens its transport; takes settings and ``refresh``.
        options: The driver's, by its name: it comes back sooner than in production.
    """

    patience = 30.0
    factory: Callable[..., Transport]
    options: Mapping[str, Mapping[str, object]]

    @pytest.fixture(name="log")
    def _log(self, kafka_broker: KafkaBroker) -> RealLog:
        kafka_broker.start()  # The test before may have killed it.
        log = RealLog(kafka_broker, _GROUP)
        eventually(log.is_coordinated, 30)
        return log

    @pytest.fixture(name="open_transport")
    def _open_transport(self, log: RealLog) -> Iterator[OpenTransport]:
        opened: list[Transport] = []

        def open_on(topic: str) -> Transport:
            kafka = KafkaSettings(
                topic=topic, servers=(log.address,), group=_GROUP, options=self.options
            )
            settings = Settings(hostname="contract.example", kafka=kafka)
            opened.append(type(self).factory(settings, refresh=_REFRESH))
            return opened[-1]

        yield open_on
        for transport in opened:
            transport.close(5)


class TestConfluentKafka(_OnARealBroker):
    """The adapter for confluent-kafka."""

    factory = ConfluentKafkaTransport
    options = MappingProxyType(
        {"confluent-kafka": {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100}}
    )


class TestKafkaPython(_OnARealBroker):
    """The adapter for kafka-python."""

    factory = KafkaPythonTransport
    options = MappingProxyType(
        {"kafka-python": {"reconnect_backoff_ms": 50, "reconnect_backoff_max_ms": 100}}
    )
