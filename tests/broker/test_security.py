"""Security on a real broker: who may come in reads, and who may not is told why, in one line."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import frozen

from filesync._settings import SecurityProtocol
from filesync.transport import Transport
from support.kafka import KafkaBroker
from support.secured import TOLD_WITHIN, WRONG, Changes, Client, check, create_topic
from support.waiting import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]

_SASL_PLAINTEXT = SecurityProtocol.SASL_PLAINTEXT


@pytest.fixture(name="common_topic", scope="module")
def _common_topic(secured_broker: KafkaBroker) -> str:
    """Return a topic with one record, for all who change nothing."""
    return create_topic(secured_broker)


@pytest.fixture(name="guest")
def _guest(
    secured_broker: KafkaBroker,
    common_topic: str,
    tmp_path: Path,
    factory: Callable[..., Transport],
) -> Iterator[Client]:
    with closing(Client(secured_broker, common_topic, tmp_path, factory)) as client:
        yield client
    # kafka-python leaves sockets to it whose handshake failed, which is complained of in here.
    gc.collect()


# Who may come in


@frozen
class Way:
    """How to come in: *settings* of a `Client`, at a *listener*."""

    listener: str
    settings: Callable[[Client], Changes]


_WAYS = {
    "mtls": Way("mtls", lambda client: client.mtls()),
    "mtls-locked-key": Way("mtls", lambda client: client.mtls("locked")),
    "scram-512": Way("scram", lambda client: client.login()),
    "scram-256": Way("scram", lambda client: client.login("SCRAM-SHA-256")),
    "plain": Way("password", lambda client: client.login("PLAIN")),
}


@pytest.mark.parametrize("way", _WAYS.values(), ids=_WAYS)
def test_who_may_come_in_reads(guest: Client, way: Way) -> None:
    """Each way works, and leaves nothing to complain about."""
    guest.start(way.listener, way.settings(guest))

    eventually(lambda: guest.reads(1), TOLD_WITHIN, what="the record, and good health")


# Who may not


@frozen
class Refusal(Way):
    """
    A way that does not lead in.

    Attributes:
        named: What the cause must contain: the settings to look at.
        unnamed: What it must not contain: what is not to blame.
    """

    named: tuple[str, ...]
    unnamed: tuple[str, ...] = ()


_LOGIN = ("kafka.sasl-username", "sasl-password-file")
_PROTOCOL = ("security-protocol",)
_TLS = ("ca-file", "cert-file")

# One that follows another uses another listener: what a closed client still
# tries for some seconds must not count against the next one.
_REFUSALS = {
    "stranger": Refusal("mtls", lambda client: client.mtls("stranger"), ("kafka.cert-file",)),
    "wrong-host-name": Refusal("misnamed", lambda client: client.mtls(), ("kafka.server",)),
    "scram-wrong-password": Refusal("scram", lambda client: client.login(), _LOGIN, _TLS),
    "expired": Refusal("mtls", lambda client: client.mtls("expired"), ("kafka.cert-file",)),
    "plain-wrong-password": Refusal("password", lambda client: client.login("PLAIN"), _LOGIN, _TLS),
    "no-certificate": Refusal(
        "mtls", lambda client: client.mtls(cert_file=None, key_file=None), ("kafka.cert-file",)
    ),
    "unknown-user": Refusal(
        "scram", lambda client: client.login(sasl_username="nobody"), _LOGIN, _TLS
    ),
    "wrong-ca": Refusal(
        "mtls",
        lambda client: client.mtls(ca_file=str(client.broker.certificates.other_ca)),
        ("kafka.ca-file",),
    ),
    "mechanism-missing": Refusal(
        "scram", lambda client: client.login("PLAIN"), ("sasl-mechanism",), _TLS
    ),
    "plaintext-to-tls": Refusal(
        "mtls", lambda _: {}, (*_PROTOCOL, "closes every connection"), ("sasl-",)
    ),
    "tls-to-plaintext": Refusal("plain", lambda client: client.mtls(), _PROTOCOL, _TLS),
    "sasl-plaintext-to-sasl-tls": Refusal(
        "scram",
        lambda client: client.login(security_protocol=_SASL_PLAINTEXT, ca_file=None),
        _PROTOCOL,
    ),
    "sasl-to-plaintext": Refusal(
        "plain",
        lambda client: client.login(security_protocol=_SASL_PLAINTEXT, ca_file=None),
        _PROTOCOL,
    ),
}


@pytest.mark.parametrize("refusal", _REFUSALS.values(), ids=_REFUSALS)
def test_who_may_not_is_told_why(guest: Client, refusal: Refusal) -> None:
    """Soon, in one line that stays; and hardly anything is spent on trying again."""
    guest.password.write_text(WRONG)
    guest.start(refusal.listener, refusal.settings(guest))
    guest.step()

    spent = guest.measure(refusal.listener)
    eventually(guest.has_told, TOLD_WITHIN, what="a cause that stays")

    assert guest.told_at - guest.started_at <= TOLD_WITHIN
    cause = guest.causes[-1]
    assert all(word in cause for word in refusal.named), guest.causes
    assert not any(word in cause for word in refusal.unnamed), guest.causes
    check(guest, spent)
