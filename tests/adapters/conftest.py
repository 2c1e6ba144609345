"""Embedded brokers, and transports and producers on them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from filesync import KafkaSettings, SecurityProtocol, Settings
from filesync.transport import Transport
from support.producers import DRIVERS, Rig, rig_of

if TYPE_CHECKING:
    from support.embedded import EmbeddedLog

_GROUP = "contract"

#: Sparing with connects is for production. The embedded broker, unlike a real one, lets a reader
#: wait for the whole of its time although a record came.
_HASTY: dict[str, dict[str, object]] = {
    "confluent-kafka": {
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 100,
        "fetch.wait.max.ms": 50,
    },
    "kafka-python": {
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 100,
        "fetch_max_wait_ms": 50,
        # Of newer versions the embedded broker knows no answer that this driver can decode.
        "api_version": "2.3",
    },
}


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


@pytest.fixture(scope="session", name="old_broker")
def _old_broker() -> Iterator[EmbeddedLog]:
    """One that is asked in such old words that it has no topic ids to tell."""
    for log in _embedded(topic_ids=True):
        log.tells_topic_ids = False
        yield log


_Open = Callable[["EmbeddedLog", str], Transport]


@pytest.fixture(name="open_on")
def _open_on() -> Iterator[_Open]:
    """Open a confluent-kafka transport on a topic of a broker; close it at the end."""
    from filesync_confluent_kafka import ConfluentKafkaTransport  # noqa: PLC0415

    yield from _opening(ConfluentKafkaTransport)


@pytest.fixture(name="open_python_on")
def _open_python_on() -> Iterator[_Open]:
    """Likewise, of kafka-python."""
    from filesync_kafka_python import KafkaPythonTransport  # noqa: PLC0415

    yield from _opening(KafkaPythonTransport)


def _opening(factory: Callable[..., Transport]) -> Iterator[_Open]:
    opened: list[Transport] = []

    def open_on(log: EmbeddedLog, topic: str) -> Transport:
        settings = Settings(
            hostname="contract.example",
            kafka=KafkaSettings(topic=topic, servers=(log.address,), group=_GROUP, options=_HASTY),
        )
        opened.append(factory(settings, refresh=0.3))
        return opened[-1]

    yield open_on
    for transport in opened:
        transport.close(5)


@pytest.fixture(name="rig", params=DRIVERS)
def _each_rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Producers of each driver in turn."""
    rig = rig_of(request, request.param)
    yield rig
    rig.close()


@pytest.fixture(name="rigs")
def _all_rigs(request: pytest.FixtureRequest) -> Iterator[list[Rig]]:
    """Producers of all drivers at once."""
    rigs = [rig_of(request, driver) for driver in DRIVERS]
    yield rigs
    for rig in rigs:
        rig.close()


@pytest.fixture(name="topic")
def _topic() -> str:
    """Return a name that no other test uses; there is no such topic yet."""
    return f"producers-{uuid.uuid4().hex}"


@pytest.fixture(name="secure")
def _secure(tmp_path: Path) -> dict[str, Any]:
    """Settings with a file of every kind."""
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "key-password").write_text("opens the key\n")
    (tmp_path / "password").write_text("opens the broker\n")
    return {
        "security_protocol": SecurityProtocol.SASL_SSL,
        "ca_file": str(tmp_path / "ca"),
        "cert_file": str(tmp_path / "cert"),
        "key_file": str(tmp_path / "key"),
        "key_password_file": str(tmp_path / "key-password"),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "ns1",
        "sasl_password_file": str(tmp_path / "password"),
    }
