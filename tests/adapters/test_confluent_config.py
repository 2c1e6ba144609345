"""What confluent-kafka is told, and what its errors are taken for: pure functions, no broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filesync import KafkaSettings, Settings
from filesync.exceptions import TransportError
from support.promises import is_promised

if not is_promised("confluent-kafka", "confluent_kafka"):
    pytest.skip("this environment does not promise confluent-kafka", allow_module_level=True)

from filesync_confluent_kafka import _config
from filesync_confluent_kafka._causes import refusal, suspicion
from filesync_confluent_kafka._config import (
    admin_config,
    consumer_config,
    producer_config,
)
from filesync_kafka_common.options import group_of

_SERVERS = "broker.example:9092"

#: Of no interest to an operator.
_NO_NEWS = {"socket.keepalive.enable", "enable.partition.eof"}


def _settings(**kafka: Any) -> Settings:
    return Settings(hostname="ns1.example", kafka=KafkaSettings(**kafka))


def _with_options(**options: object) -> Settings:
    return _settings(
        options={"confluent-kafka": {k.replace("__", "."): v for k, v in options.items()}}
    )


# -- Configuration ----------------------------------------------------------


def test_what_a_guarantee_rests_on_is_set() -> None:
    """Aborted and damaged records are not read, and nothing is skipped or committed unasked."""
    config = consumer_config(_settings())

    assert config["isolation.level"] == "read_committed"
    assert config["check.crcs"] is True
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False
    assert config["auto.offset.reset"] == "error"
    assert config["allow.auto.create.topics"] is False
    assert config["enable.partition.eof"] is True
    assert config["ssl.endpoint.identification.algorithm"] == "https"


def test_a_response_may_be_larger_than_what_is_asked_for() -> None:
    """Or a large record would stall its partition."""
    config = consumer_config(_settings())

    assert isinstance(config["receive.message.max.bytes"], int)
    assert isinstance(config["fetch.max.bytes"], int)
    assert isinstance(config["max.partition.fetch.bytes"], int)
    asked = config["fetch.max.bytes"] + config["max.partition.fetch.bytes"]
    assert config["receive.message.max.bytes"] > asked


def test_servers_and_protocol_are_passed_on() -> None:
    """Every server, in order."""
    config = consumer_config(_settings(servers=["b1@9093", "[::1]:9094"]))

    assert config["bootstrap.servers"] == "b1:9093,[::1]:9094"
    assert config["security.protocol"] == "plaintext"
    assert not any(name.startswith("sasl.") for name in config)


def test_the_group_is_never_empty() -> None:
    """The driver would end the process."""
    assert group_of(_settings()) == "filesync-ns1.example"
    assert consumer_config(_settings(group="mine"))["group.id"] == "mine"


def test_files_and_secrets_are_passed_on(secure: dict[str, Any]) -> None:
    """Files by name, passwords by content, without the newline that editors add."""
    config = consumer_config(_settings(**secure))

    assert config["security.protocol"] == "sasl_ssl"
    assert config["ssl.ca.location"] == secure["ca_file"]
    assert config["ssl.certificate.location"] == secure["cert_file"]
    assert config["ssl.key.location"] == secure["key_file"]
    assert config["ssl.key.password"] == "opens the key"
    assert config["sasl.mechanisms"] == "SCRAM-SHA-512"
    assert config["sasl.username"] == "ns1"
    assert config["sasl.password"] == "opens the broker"


@pytest.mark.parametrize(
    "setting", ["ca_file", "cert_file", "key_file", "key_password_file", "sasl_password_file"]
)
def test_a_file_that_cannot_be_used_is_named(setting: str, secure: dict[str, Any]) -> None:
    """The driver would say so later, or never."""
    path = Path(secure[setting])
    name = setting.replace("_", "-")

    path.write_bytes(b"\n")
    with pytest.raises(TransportError, match=rf"kafka\.{name}: {path} is empty"):
        consumer_config(_settings(**secure))

    path.unlink()
    with pytest.raises(TransportError, match=rf"kafka\.{name}: cannot read {path}: No such file"):
        consumer_config(_settings(**secure))


# -- Options ----------------------------------------------------------------


def test_an_option_goes_to_the_driver() -> None:
    """Over our defaults, and with the driver's words for true and false."""
    config = consumer_config(
        _with_options(fetch__wait__max__ms=100, socket__keepalive__enable=False)
    )

    assert config["fetch.wait.max.ms"] == 100
    assert config["socket.keepalive.enable"] == "false"


def test_another_drivers_options_are_left_alone() -> None:
    """The same settings file works on both."""
    config = consumer_config(_settings(options={"kafka-python": {"fetch_max_wait_ms": 100}}))

    assert "fetch_max_wait_ms" not in config


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("auto.offset.reset", "it is error because any other value skips records"),
        ("enable.auto.commit", "it is false because positions live with the files"),
        ("isolation.level", "it is read_committed because"),
        ("check.crcs", "it is true because"),
        ("enable.ssl.certificate.verification", "it is true because"),
        ("group.id", r"use kafka\.group"),
        ("metadata.broker.list", r"use kafka\.server"),
        ("ssl.ca.location", r"use kafka\.ca-file"),
        ("default.topic.config", "it would hide other options"),
        ("stats_cb", "a callback is no text"),
    ],
)
def test_an_option_that_would_break_a_promise_is_refused(name: str, hint: str) -> None:
    """Rather than ignored; the message says where to set it, or why not."""
    settings = _settings(options={"confluent-kafka": {name: "x"}})

    with pytest.raises(TransportError, match=rf"confluent-kafka: '{name}' cannot be set: {hint}"):
        consumer_config(settings)


def test_the_admin_client_knocks_as_seldom_and_creates_nothing() -> None:
    """It has no use for what only a consumer knows."""
    config = admin_config(consumer_config(_settings()))

    assert config["reconnect.backoff.ms"] == config["reconnect.backoff.max.ms"] == 2000
    assert config["allow.auto.create.topics"] is False
    assert config["bootstrap.servers"] == "localhost:9092"
    assert "group.id" not in config
    assert "isolation.level" not in config


def test_a_sender_knocks_more_often() -> None:
    """Its first record waits for that; unless the operator says otherwise."""
    given = {"reconnect.backoff.ms": 700, "message.max.bytes": 1000, "queued.min.messages": 5}
    told = producer_config(_settings(options={"confluent-kafka": given}), 10)

    assert producer_config(_settings(), 10)["reconnect.backoff.ms"] == 500
    assert (told["reconnect.backoff.ms"], told["message.max.bytes"]) == (700, 1000)
    assert "queued.min.messages" not in told


# -- Causes -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("_SSL", "SSL handshake failed: certificate verify failed", "check kafka.ca-file"),
        ("_TRANSPORT", "Receive failed: SSL alert number 42", "check kafka.cert-file"),
        ("_TRANSPORT", "Disconnected: SSL connection closed by peer", "does not speak TLS"),
        ("_TRANSPORT", "Connect failed: Connection refused", "cannot reach a broker at broker.ex"),
        ("_RESOLVE", "Failed to resolve 'x'", "check kafka.server"),
        ("_AUTHENTICATION", "due to invalid credentials with", "check kafka.sasl-username"),
        (
            "_AUTHENTICATION",
            "broker's supported mechanisms: PLAIN (after 1ms in state AUTH_HANDSHAKE)",
            "check kafka.sasl-mechanism",
        ),
        (
            "_AUTHENTICATION",
            "broker's supported mechanisms:  (after 1ms in state AUTH_HANDSHAKE)",
            "does not speak SASL there",
        ),
        ("SASL_AUTHENTICATION_FAILED", "no", "does not let us in"),
    ],
)
def test_a_failed_connection_says_what_to_check(name: str, text: str, what: str) -> None:
    """In one line, without the driver's own state."""
    cause = suspicion(name, f"{_SERVERS}/bootstrap: {text}", _SERVERS)

    assert cause is not None
    assert what in str(cause)
    assert "\n" not in str(cause)
    assert "in state" not in str(cause)


@pytest.mark.parametrize("name", ["_TRANSPORT", "_TIMED_OUT", "_ALL_BROKERS_DOWN"])
def test_a_connection_that_just_ends_says_nothing(name: str) -> None:
    """Brokers close idle ones."""
    assert suspicion(name, "Disconnected (after 600000ms in state UP)", _SERVERS) is None


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("UNKNOWN_TOPIC_OR_PART", "", "there is no topic 'zones' at broker.example:9092"),
        ("TOPIC_AUTHORIZATION_FAILED", "", "grant us READ and DESCRIBE"),
        ("_BAD_MSG", "CRC mismatch", "a record is damaged"),
        ("_BAD_MSG", "Invalid response size", "raise receive.message.max.bytes"),
        ("LEADER_NOT_AVAILABLE", "Leader\nnot available", "LEADER_NOT_AVAILABLE (Leader not av"),
    ],
)
def test_a_refusal_says_what_to_do(name: str, text: str, what: str) -> None:
    """As far as that can be known."""
    assert what in str(refusal(name, text, topic="zones", servers=_SERVERS))


def test_the_page_on_drivers_tells_what_is_pinned_and_what_is_set() -> None:
    """Whoever reads it knows which options are refused, and which are ours."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "drivers.md"
    text = page.read_text(encoding="utf-8")
    for name in {*_config._PINNED, *_config._DEFAULTS} - _NO_NEWS:
        assert f"`{name}`" in text, name
