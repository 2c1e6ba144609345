"""`filesync publish` on a real broker that lets in whom it knows, and to what they have a right."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kafka import PASSWORD, KafkaBroker
from support.publishing import SENT, TRANSPORT, UNSENT, Log, Publish, Settings, new_topic

pytestmark = pytest.mark.kafka


@pytest.fixture(name="strict_broker", scope="module")
def _strict_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One that lets in whom it knows; and makes every topic that somebody seems to want."""
    with KafkaBroker(
        tmp_path_factory.mktemp("strict") / "kafka",
        security=True,
        properties={"auto.create.topics.enable": "true"},
    ) as broker:
        yield broker


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> str:
    """Return the path of a file."""
    path = tmp_path / "small.rpz"
    path.write_bytes(b"x" * 1000)
    return str(path)


class Login:
    """A user of its own, with a password, and the settings to come in with them."""

    def __init__(self, broker: KafkaBroker, folder: Path) -> None:
        self.user = f"user-{uuid.uuid4().hex}"
        self.password = folder / "password"
        self.password.write_text(f"{PASSWORD}\n")
        self.address = broker.address("scram")
        self.settings: Settings = {
            "security-protocol": "sasl_ssl",
            "ca-file": str(broker.certificates.ca),
            "sasl-mechanism": "SCRAM-SHA-512",
            "sasl-username": self.user,
            "sasl-password-file": str(self.password),
        }
        broker.set_password(self.user, PASSWORD)


@pytest.fixture(name="login")
def _login(strict_broker: KafkaBroker, tmp_path: Path) -> Login:
    return Login(strict_broker, tmp_path)


def _topics(broker: KafkaBroker) -> set[str]:
    return set(broker.admin().list_topics(timeout=10).topics)


def test_a_topic_that_is_missing_is_not_created(
    strict_broker: KafkaBroker, driver: str, publish: Publish, small: str
) -> None:
    """It ends in time and names the topic, on a broker that creates what it is asked for."""
    topic = f"topic-{uuid.uuid4().hex}"
    began = time.monotonic()
    words = (driver, strict_broker.bootstrap, topic, small, "--to", "ns1", "--timeout", "2")
    sending = publish(*words)
    assert sending.ended(TRANSPORT)
    assert 2 <= time.monotonic() - began < 12
    assert f"there is no topic {topic!r}" in sending.err
    assert "nothing was published" in sending.err
    assert topic not in _topics(strict_broker)


@pytest.mark.parametrize(
    ("rights", "elsewhere", "status"),
    [
        pytest.param((), (), TRANSPORT, id="nothing"),
        pytest.param(("DESCRIBE",), (), UNSENT, id="only-describe"),
        pytest.param(("DESCRIBE",), ("WRITE",), UNSENT, id="write-elsewhere"),
        pytest.param(("WRITE",), (), SENT, id="write"),
    ],
)
def test_who_may_not_write_is_told_so(
    strict_broker: KafkaBroker,
    driver: str,
    publish: Publish,
    login: Login,
    small: str,
    *,
    rights: tuple[str, ...],
    elsewhere: tuple[str, ...],
    status: int,
) -> None:
    """In whatever way the right is missing; and whoever has it needs no other."""
    topic, other = new_topic(strict_broker), new_topic(strict_broker)
    for name, granted in ((topic, rights), (other, elsewhere)):
        for operation in granted:
            strict_broker.grant(login.user, operation, topic=name)
    words = (driver, login.address, topic, small, "--to", "ns1", "--timeout", "3")
    sending = publish(*words, settings=login.settings)
    assert sending.ended(status)
    if status != SENT:
        assert "grant us WRITE" in sending.err
        assert topic in sending.err
    assert len(Log(strict_broker, topic).records()) == (status == SENT)


def test_a_wrong_password_is_told(
    strict_broker: KafkaBroker, driver: str, publish: Publish, login: Login, small: str
) -> None:
    """Which setting to look at; and not the password."""
    topic = new_topic(strict_broker)
    login.password.write_text("tot4lly-wr0ng\n")
    words = (driver, login.address, topic, small, "--to", "ns1", "--timeout", "6")
    sending = publish(*words, settings=login.settings)
    assert sending.ended(TRANSPORT)
    assert "sasl-password-file" in sending.err
    assert "wr0ng" not in sending.err
