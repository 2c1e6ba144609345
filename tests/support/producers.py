"""Producers of every driver on an embedded broker, and what is told of their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from filesync import KafkaSettings, Settings
from filesync.producer import (
    Acknowledged,
    Delivery,
    NotDelivered,
    Outgoing,
    Producer,
    TopicLost,
    open_producer,
)
from support.promises import is_promised
from support.waiting import eventually

if TYPE_CHECKING:
    from confluent_kafka import Message

    from support.embedded import EmbeddedLog

__all__ = [
    "A_WHILE",
    "DRIVERS",
    "SOON",
    "Rig",
    "acknowledged",
    "gather",
    "in_use",
    "refused",
    "rig_of",
    "send",
    "until_told",
    "until_up",
]

#: By its name in the settings, a driver's package and the broker that it understands.
DRIVERS = {
    "confluent-kafka": ("confluent_kafka", "broker"),
    "kafka-python": ("kafka", "old_broker"),
}

#: Sparing with connects is for production.
_HASTY: Mapping[str, Mapping[str, object]] = {
    "confluent-kafka": {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100},
    "kafka-python": {
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 100,
        # Of newer versions the embedded broker knows no answer that this driver can decode.
        "api_version": "2.3",
    },
}

#: Seconds within which what goes well has gone well.
SOON = 15.0

#: Seconds in which nothing more must come.
A_WHILE = 0.2


class Rig:
    """
    A broker, and producers of one driver on it.

    Args:
        driver: Its name in the settings.
        log: The broker.
    """

    def __init__(self, driver: str, log: EmbeddedLog) -> None:
        self.driver = driver
        self.log = log
        self._opened: list[Producer] = []

    def open(
        self,
        topic: str,
        *,
        timeout: float = 30.0,
        options: Mapping[str, object] | None = None,
        **login: Any,
    ) -> Producer:
        """Return a producer that was not started; *login*: settings of Kafka."""
        kafka = KafkaSettings(
            topic=topic,
            servers=(self.log.address,),
            options={self.driver: {**_HASTY[self.driver], **(options or {})}},
            **login,
        )
        settings = Settings(hostname="sender.example", kafka=kafka)
        producer = open_producer(self.driver, settings, timeout=timeout)
        self._opened.append(producer)
        return producer

    def ready(
        self, topic: str, *, timeout: float = 30.0, options: Mapping[str, object] | None = None
    ) -> Producer:
        """Return a producer that may send."""
        producer = self.open(topic, timeout=timeout, options=options)
        producer.start()
        until_up(producer)
        return producer

    def records(self, topic: str, counts: Mapping[int, int]) -> dict[int, list[Message]]:
        """Return what *topic* has, by partition; *counts* tells how many to wait for."""
        from confluent_kafka import Consumer  # noqa: PLC0415 - not everywhere.
        from confluent_kafka import TopicPartition as DriverPartition  # noqa: PLC0415

        consumer = Consumer({"bootstrap.servers": self.log.address, "group.id": "unused"})
        found: dict[int, list[Message]] = {partition: [] for partition in counts}
        total = sum(counts.values())

        def all_there() -> bool:
            for message in consumer.consume(total, timeout=0.1):
                assert message.error() is None
                partition = message.partition()
                assert partition is not None
                found[partition].append(message)
            return sum(map(len, found.values())) >= total

        try:
            consumer.assign([DriverPartition(topic, partition, 0) for partition in counts])
            eventually(all_there, SOON, what=f"{total} records of {topic}")
        finally:
            consumer.close()
        return found

    def close(self) -> None:
        """End all; let the broker answer."""
        for producer in self._opened:
            producer.close(5)
        self.log.start()


def rig_of(request: pytest.FixtureRequest, driver: str) -> Rig:
    """Return the rig of *driver*; skip where this environment does not promise it."""
    package, broker = DRIVERS[driver]
    for name, needed in ((driver, package), ("confluent-kafka", "confluent_kafka")):
        if not is_promised(name, needed):
            pytest.skip(f"this environment does not promise {name}, or no embedded broker")
    return Rig(driver, request.getfixturevalue(broker))


def in_use(rig: Rig, topic: str, *, timeout: float = 30.0) -> Producer:
    """Return a producer that has sent record 0, on a new topic."""
    rig.log.create_topic(topic)
    producer = rig.ready(topic, timeout=timeout)
    send(producer, [0])
    acknowledged(gather(producer, 1))
    return producer


def send(producer: Producer, tickets: Iterable[int]) -> None:
    """Send records of one key, the value of each its ticket."""
    for ticket in tickets:
        producer.send(Outgoing(ticket, b"a", b"%d" % ticket, []))


def until_up(producer: Producer) -> None:
    """Wait until health is good; nothing is told meanwhile."""

    def up() -> bool:
        _poll_nothing(producer)
        return producer.health().up

    try:
        eventually(up, SOON, what="good health")
    except AssertionError as exc:
        raise AssertionError(f"{exc}: {producer.health().cause}") from None


def until_told(producer: Producer, *words: str, within: float) -> str:
    """Wait until health is bad and says *words*; return what it says."""

    def told() -> str:
        _poll_nothing(producer)
        health = producer.health()
        assert not health.up, "health is good"
        return health.cause if all(word in health.cause for word in words) else ""

    return eventually(told, within, what=f"{words} in {producer.health().cause!r}")


def _poll_nothing(producer: Producer) -> None:
    told = producer.poll(0.05)
    assert told == [], told


def gather(
    producer: Producer, count: int, within: float = SOON
) -> list[Acknowledged | NotDelivered]:
    """Return *count* deliveries, and look that no other one follows."""
    gathered: list[Acknowledged | NotDelivered] = []

    def look(timeout: float) -> None:
        told = producer.poll(timeout)
        gathered.extend(each for each in told if not isinstance(each, TopicLost))

    def enough() -> bool:
        look(0.1)
        return len(gathered) >= count

    try:
        eventually(enough, within, what=f"{count} deliveries")
    except AssertionError as exc:
        raise AssertionError(f"{exc}; {len(gathered)} came: {gathered[:3]}") from None
    look(A_WHILE)
    assert len({each.ticket for each in gathered}) == len(gathered) == count, gathered
    return gathered


def acknowledged(deliveries: Sequence[Delivery]) -> dict[int, Acknowledged]:
    """Return *deliveries* by ticket; all are good."""
    bad = [each for each in deliveries if isinstance(each, NotDelivered)]
    assert bad == [], bad
    return {each.ticket: each for each in deliveries if isinstance(each, Acknowledged)}


def refused(deliveries: Sequence[Delivery]) -> dict[int, str]:
    """Return why, by ticket; none is good."""
    good = [each for each in deliveries if isinstance(each, Acknowledged)]
    assert good == [], good
    return {each.ticket: each.why for each in deliveries if isinstance(each, NotDelivered)}
