"""A client of a broker with TLS and SASL, what it is told, and what its attempts cost."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

from attrs import frozen

from filesync import KafkaSettings, Settings
from filesync._settings import SecurityProtocol
from filesync.transport import PartitionFound, Transport
from support.kafka import CLIENT, KEY_PASSWORD, PASSWORD, USER, KafkaBroker

__all__ = [
    "GROUP",
    "MENDED_WITHIN",
    "TOLD_WITHIN",
    "WRONG",
    "Changes",
    "Client",
    "Spent",
    "check",
    "check_cost",
    "create_topic",
    "publish_one",
]

#: Seconds within which the cause must be told.
TOLD_WITHIN = 10.0

#: Seconds for which is measured what a failure costs.
_MEASURED = 4.0

#: Seconds for which a cause must stay.
_STAYS = 2.0

#: Of one core, while nothing can be read.
_MOST_CPU = 0.03

#: A second, while nothing can be read.
_MOST_CONNECTS = 3.0

#: Seconds within which records must flow after the broker's side is mended.
MENDED_WITHIN = 30.0

#: No password of anybody, until a test makes it one.
WRONG = "tot4lly-wr0ng"

GROUP = "security"

_SSL, _SASL_SSL = SecurityProtocol.SSL, SecurityProtocol.SASL_SSL

Changes = Mapping[str, Any]


def create_topic(broker: KafkaBroker) -> str:
    """Return the name of a new topic with one record, which our users may read."""
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name)
    publish_one(broker, name)
    for user in (USER, CLIENT):
        broker.grant(user, "READ", topic=name)
    return name


def publish_one(broker: KafkaBroker, topic: str) -> None:
    """Append a record."""
    producer = broker.producer()
    producer.produce(topic, b"value", partition=0)
    assert producer.flush(20) == 0


@frozen
class Spent:
    """What was spent: *cpu* of one core, *connects* in a second."""

    cpu: float
    connects: float


class Client:
    """
    A transport, its settings, and what it has read.

    Args:
        broker: It connects to this one.
        topic: And reads this one, from its beginning.
        folder: Secrets are kept here.
        factory: Makes the transport.
    """

    def __init__(
        self, broker: KafkaBroker, topic: str, folder: Path, factory: Callable[..., Transport]
    ) -> None:
        self.broker = broker
        self._topic = topic
        self._factory = factory
        self.password = folder / "password"
        self.password.write_text(f"{PASSWORD}\n")
        self._key_password = folder / "key-password"
        self._key_password.write_text(f"{KEY_PASSWORD}\n")
        self.transport: Transport
        self.records = 0
        self.causes: list[str] = []
        self.started_at = self.told_at = 0.0

    def start(self, listener: str, settings: Changes) -> None:
        """Begin."""
        kafka = KafkaSettings(
            topic=self._topic,
            servers=(self.broker.address(listener),),
            group=GROUP,
            **settings,
        )
        self.started_at = time.monotonic()
        self.transport = self._factory(Settings(hostname="security.example", kafka=kafka))
        self.transport.start()

    def close(self) -> None:
        """End; do nothing if it was not begun."""
        if hasattr(self, "transport"):
            self.transport.close(5)

    def mtls(self, who: str = "client", **changes: Any) -> dict[str, Any]:
        """Return settings for: we show a certificate."""
        shown = getattr(self.broker.certificates, who)
        settings = {
            "security_protocol": _SSL,
            "ca_file": str(self.broker.certificates.ca),
            "cert_file": str(shown.certificate),
            "key_file": str(shown.key),
            "key_password_file": str(self._key_password) if who == "locked" else None,
        }
        return settings | changes

    def login(self, mechanism: str = "SCRAM-SHA-512", **changes: Any) -> dict[str, Any]:
        """Return settings for: we give a user and a password, over TLS."""
        settings = {
            "security_protocol": _SASL_SSL,
            "ca_file": str(self.broker.certificates.ca),
            "sasl_mechanism": mechanism,
            "sasl_username": USER,
            "sasl_password_file": str(self.password),
        }
        return settings | changes

    def step(self) -> None:
        """Poll once, as the receiver does."""
        polled = self.transport.poll(0.5, 500, lambda _key, _headers: True)
        for fault in polled.faults:
            if isinstance(fault, PartitionFound):
                self.transport.assign({fault.source: fault.start})
        self.records += len(polled.records)
        cause = self.transport.health().cause
        if [cause] != self.causes[-1:]:
            self.causes.append(cause)
        if not self.told_at and not cause.startswith("connecting"):
            self.told_at = time.monotonic()

    def measure(self, listener: str) -> Spent:
        """
        Poll for a while, or two or three; return what this process spends on it.

        What a busy machine does to our time in the caches only adds to it, so
        the cheapest while counts; of the connects the one with most.
        """
        cheapest, connects = inf, 0.0
        for _ in range(3):
            began, cpu = time.monotonic(), time.process_time()
            accepted = self.broker.accepted(listener)
            while (took := time.monotonic() - began) < _MEASURED:
                self.step()
            cheapest = min(cheapest, (time.process_time() - cpu) / took)
            connects = max(connects, (self.broker.accepted(listener) - accepted) / took)
            if cheapest <= _MOST_CPU:
                break
        return Spent(cpu=cheapest, connects=connects)

    def cause(self) -> str | None:
        """Poll once; return why the log cannot be read, if that is known."""
        self.step()
        health = self.transport.health()
        return None if health.up or health.cause.startswith("connecting") else health.cause

    def has_told(self) -> bool:
        """Poll once; return whether anything but that we connect is told, and for a while now."""
        self.step()
        return 0 < self.told_at <= time.monotonic() - _STAYS

    def reads(self, records: int) -> bool:
        """Poll once; return whether *records* were read in all."""
        self.step()
        return self.records >= records and self.transport.health().up


def check(client: Client, spent: Spent) -> None:
    """What was told is a line without secrets, told for good; trying again is cheap."""
    assert not any("\n" in cause or WRONG in cause or PASSWORD in cause for cause in client.causes)
    told = [cause for cause in client.causes if not cause.startswith("connecting")]
    assert len(told) <= 2, told
    check_cost(spent)


def check_cost(spent: Spent) -> None:
    """Trying again is cheap."""
    assert spent.cpu <= _MOST_CPU
    assert spent.connects <= _MOST_CONNECTS
