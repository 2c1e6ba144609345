"""Embedded brokers, and transports on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from filesync import KafkaSettings, Settings
from filesync.transport import Transport

if TYPE_CHECKING:
    from support.embedded import EmbeddedLog

_GROUP = "contract"

#: Sparing with connects is for production.
_HASTY = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100}


@pytest.fixture(scope="session", name="broker")
def _broker() -> Iterator[EmbeddedLog]:
    """One broker for all tests: each uses topics of its own."""
    yield from _embedded(topic_ids=True)


@pytest.fixture(scope="session", name="plain_broker")
def _plain_broker() -> Iterator[EmbeddedLog]:
    """One that tells no topic ids."""
    yield from _embedded(topic_ids=False)


def _embedded(*, topic_ids: bool) -> Iterator[EmbeddedLog]:
    from support.embedded import EmbeddedLog  # noqa: PLC0415 - needs the driver

    log = EmbeddedLog(_GROUP, topic_ids=topic_ids)
    yield log
    log.close()


@pytest.fixture(name="open_on")
def _open_on() -> Iterator[Callable[[EmbeddedLog, str], Transport]]:
    """Open a confluent-kafka transport on a topic of a broker; close it at the end."""
    from filesync_confluent_kafka import ConfluentKafkaTransport  # noqa: PLC0415

    opened: list[Transport] = []

    def open_on(log: EmbeddedLog, topic: str) -> Transport:
        settings = Settings(
            hostname="contract.example",
            kafka=KafkaSettings(
                topic=topic,
                servers=(log.address,),
                group=_GROUP,
                options={"confluent-kafka": _HASTY},
            ),
        )
        opened.append(ConfluentKafkaTransport(settings, refresh=0.3))
        return opened[-1]

    yield open_on
    for transport in opened:
        transport.close(5)
