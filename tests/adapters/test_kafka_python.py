"""What kafka-python is told, and what its errors are taken for: no broker."""

from __future__ import annotations

import importlib.util
import logging
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from filesync import KafkaSettings, SecurityProtocol, Settings, TopicPartition
from filesync.exceptions import TransportError
from support.promises import is_promised

if not is_promised("kafka-python", "kafka"):
    pytest.skip("this environment does not promise kafka-python", allow_module_level=True)

from kafka import TopicPartition as DriverPartition
from kafka import errors
from kafka.consumer.fetcher import ConsumerRecord

from filesync_kafka_python import KafkaPythonTransport, _config
from filesync_kafka_python._asking import topic_id_of
from filesync_kafka_python._causes import (
    is_denial,
    is_goodbye,
    is_silence,
    refusal,
    suspicion,
)
from filesync_kafka_python._config import admin_config, check_packages, consumer_config
from filesync_kafka_python._gossip import Ear
from filesync_kafka_python._records import take
from filesync_kafka_python._worker import Worker

_SERVERS = "broker.example:9092"

#: Of no interest to an operator.
_NO_NEWS: set[str] = set()


def _settings(**kafka: Any) -> Settings:
    return Settings(hostname="ns1.example", kafka=KafkaSettings(**kafka))


def _with_options(**options: object) -> Settings:
    return _settings(options={"kafka-python": options})


@pytest.fixture(name="identity", scope="module")
def _identity(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings with a certificate, its encrypted key, and itself as authority."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "password").write_text("opens\n")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-subj", "/CN=ns1", "-days", "1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-passout", "pass:opens", "-keyout", folder / "key", "-out", folder / "cert"),
        ],
        check=True,
        capture_output=True,
    )
    return {
        "ca_file": str(folder / "cert"),
        "cert_file": str(folder / "cert"),
        "key_file": str(folder / "key"),
        "key_password_file": str(folder / "password"),
    }


# Configuration


def test_what_a_guarantee_rests_on_is_set() -> None:
    """Aborted and damaged records are not read, and nothing is skipped or committed unasked."""
    config = consumer_config(_settings())

    assert config["isolation_level"] == "read_committed"
    assert config["check_crcs"] is True
    assert config["enable_auto_commit"] is False
    assert config["auto_offset_reset"] == "none"
    assert config["group_id"] is None
    assert config["security_protocol"] == "PLAINTEXT"
    assert config["api_version"] == (3, 0)
    assert "ssl_context" not in config
    assert "sasl_mechanism" not in config


def test_a_response_may_be_larger_than_what_is_asked_for() -> None:
    """Or a large record would stall its partition."""
    config = consumer_config(_settings())

    asked = config["fetch_max_bytes"] + config["max_partition_fetch_bytes"]
    assert config["receive_message_max_bytes"] > asked


def test_servers_are_passed_on() -> None:
    """Every server, in order."""
    config = consumer_config(_settings(servers=["b1@9093", "[::1]:9094"]))

    assert config["bootstrap_servers"] == ["b1:9093", "[::1]:9094"]


@pytest.mark.parametrize("protocol", SecurityProtocol)
def test_no_protocol_falls_to_plaintext(
    protocol: SecurityProtocol, tmp_path: Path, identity: dict[str, str]
) -> None:
    """The driver takes every name that is not in capitals for plaintext."""
    (tmp_path / "password").write_text("secret\n")
    login = {
        "sasl_mechanism": "plain",
        "sasl_username": "ns1",
        "sasl_password_file": str(tmp_path / "password"),
    }
    settings = _settings(
        security_protocol=protocol,
        **(login if protocol.authenticated else {}),
        **(identity if protocol.encrypted else {}),
    )
    config = consumer_config(settings)

    assert config["security_protocol"] == protocol.name
    if protocol.encrypted:
        assert config["ssl_context"].check_hostname
        assert config["ssl_context"].verify_mode is ssl.CERT_REQUIRED
        assert config["ssl_context"].minimum_version is ssl.TLSVersion.TLSv1_2
    if protocol.authenticated:
        assert config["sasl_mechanism"] == "PLAIN"
        assert config["sasl_plain_username"] == "ns1"
        assert config["sasl_plain_password"] == "secret"


@pytest.mark.parametrize(
    ("setting", "content", "told"),
    [
        ("ca_file", "no certificate", r"kafka\.ca-file: .* holds no certificate in PEM"),
        ("cert_file", "no certificate", r"kafka\.cert-file, key-file: "),
        ("key_file", "no key", r"kafka\.cert-file, key-file: "),
        ("key_password_file", "wrong", "or kafka.key-password-file is wrong"),
        ("key_password_file", "\n", "kafka.key-password-file: .* is empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_any_connection(
    setting: str, content: str, told: str, identity: dict[str, str], tmp_path: Path
) -> None:
    """The driver would say so at each connect, to its log."""
    path = tmp_path / "file"
    path.write_text(content)
    settings = _settings(security_protocol=SecurityProtocol.SSL, **{**identity, setting: str(path)})

    with pytest.raises(TransportError, match=told):
        KafkaPythonTransport(settings).start()


def test_an_encrypted_key_needs_its_password(identity: dict[str, str]) -> None:
    """Nobody is asked at the terminal."""
    without = {name: value for name, value in identity.items() if name != "key_password_file"}
    with pytest.raises(TransportError, match="key-password-file"):
        consumer_config(_settings(security_protocol=SecurityProtocol.SSL, **without))


def test_an_option_goes_to_the_driver() -> None:
    """Over our defaults."""
    config = consumer_config(_with_options(fetch_max_wait_ms=100, api_version="2.3"))

    assert config["fetch_max_wait_ms"] == 100
    assert config["api_version"] == (2, 3)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("auto_offset_reset", "earliest", "it is none because any other value skips records"),
        ("check_crcs", False, "it is true because"),
        ("ssl_check_hostname", False, "it is true because"),
        ("group_id", "x", r"use kafka\.group"),
        ("ssl_cafile", "x", r"use kafka\.ca-file"),
        ("sasl_plain_username", "x", r"use kafka\.sasl-username"),
        ("kafka_client", "x", "it loads foreign code"),
        ("api_version", "new", "'new' is no version, such as '3.0'"),
        ("api_version", 3, "3 is no version, such as '3.0'"),
    ],
)
def test_an_option_that_would_break_a_promise_is_refused(
    name: str, value: object, hint: str
) -> None:
    """Rather than ignored; the message says where to set it, or why not."""
    with pytest.raises(TransportError, match=rf"kafka-python: '{name}' cannot be set: {hint}"):
        consumer_config(_with_options(**{name: value}))


@pytest.mark.parametrize(("name", "value"), [("no_such_option", 1), ("request_timeout_ms", 100)])
def test_an_option_that_the_driver_refuses_is_told(name: str, value: object) -> None:
    """Once, at the start, and no client is left behind."""
    with pytest.raises(TransportError, match="kafka-python refuses the settings"):
        KafkaPythonTransport(_with_options(**{name: value})).start()


def test_the_admin_client_knocks_less_often() -> None:
    """It is asked only for what it knows, and answers within seconds."""
    config = admin_config(consumer_config(_settings()))

    assert config["client_id"] == "filesync-ns1.example-admin"
    assert config["reconnect_backoff_ms"] == config["reconnect_backoff_max_ms"] == 2000
    assert config["request_timeout_ms"] <= 5000
    assert "isolation_level" not in config


@pytest.mark.parametrize("module", ["crc32c", "lz4", "snappy", "zstandard"])
def test_a_missing_package_is_told_at_start(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one of them the driver hangs at the first record that needs it, or crawls."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else find(name)
    )
    with pytest.raises(TransportError, match=r"pip install 'kafka-filesync\[kafka-python\]'"):
        KafkaPythonTransport(_settings()).start()


def test_what_the_extra_brings_is_enough() -> None:
    """No package is missing where the extra is installed."""
    check_packages()


# Causes


@pytest.mark.parametrize(
    ("problem", "what"),
    [
        (errors.KafkaConnectionError("111 ECONNREFUSED"), "cannot reach a broker at broker.ex"),
        (errors.KafkaConnectionError("DNS Resolution failure"), "check kafka.server"),
        (
            errors.KafkaConnectionError(
                "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"
            ),
            "check kafka.ca-file",
        ),
        (
            errors.KafkaConnectionError(
                "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] Hostname mismatch"
            ),
            "is for another name",
        ),
        (errors.KafkaConnectionError("[SSL: SSLV3_ALERT_BAD_CERTIFICATE]"), "kafka.cert-file"),
        (errors.KafkaConnectionError("[SSL: UNEXPECTED_EOF_WHILE_READING]"), "not speak TLS"),
        (errors.SaslAuthenticationFailedError("no"), "check kafka.sasl-username"),
        (errors.UnsupportedSaslMechanismError("no"), "check kafka.sasl-mechanism"),
        (errors.IllegalSaslStateError("no"), "does not speak SASL there"),
    ],
)
def test_a_failed_connection_says_what_to_check(problem: Exception, what: str) -> None:
    """In one line."""
    cause = suspicion(problem, _SERVERS, encrypted=True)

    assert cause is not None
    assert what in str(cause)
    assert "\n" not in str(cause)


@pytest.mark.parametrize(
    "problem", [errors.KafkaConnectionError("socket disconnected"), errors.NodeNotReadyError(1)]
)
def test_a_connection_that_just_ends_says_nothing(problem: Exception) -> None:
    """Brokers close idle ones."""
    assert suspicion(problem, _SERVERS, encrypted=False) is None


def test_a_goodbye_without_a_word_is_known() -> None:
    """If it is said again and again, something is wrong."""
    assert is_goodbye(errors.KafkaConnectionError("socket disconnected"))
    assert not is_goodbye(errors.KafkaConnectionError("111 ECONNREFUSED"))
    assert not is_goodbye(errors.SaslAuthenticationFailedError("connection closed"))


def test_silence_is_no_answer_and_a_refusal_is_one() -> None:
    """Whoever is silent may come back by himself."""
    assert is_silence(errors.KafkaTimeoutError())
    assert is_silence(errors.NodeNotReadyError(1))
    assert is_silence(errors.RequestTimedOutError())
    assert is_silence(errors.KafkaConnectionError("x"))
    assert not is_silence(errors.TopicAuthorizationFailedError())
    assert not is_silence(errors.UnknownTopicOrPartitionError())
    assert is_denial(errors.SaslAuthenticationFailedError())
    assert not is_denial(errors.TopicAuthorizationFailedError())


@pytest.mark.parametrize(
    ("problem", "what"),
    [
        (errors.UnknownTopicOrPartitionError(), "there is no topic 'zones' at broker.example:9092"),
        (errors.TopicAuthorizationFailedError(), "grant us READ and DESCRIBE"),
        (errors.CorruptRecordError("crc"), "a record is damaged"),
        (errors.InvalidReceiveError("size"), "raise receive_message_max_bytes"),
        (errors.SaslAuthenticationFailedError("no"), "check kafka.sasl-username"),
        (errors.LeaderNotAvailableError("Leader\nnot"), "LEADER_NOT_AVAILABLE ("),
        (errors.KafkaError("strange"), "answers KafkaError (KafkaError: strange)"),
    ],
)
def test_a_refusal_says_what_to_do(problem: Exception, what: str) -> None:
    """As far as that can be known."""
    told = str(refusal(problem, topic="zones", servers=_SERVERS))
    assert what in told
    assert "\n" not in told


# The ear


def _log_in_thread(name: str, log: Any) -> None:
    thread = threading.Thread(target=log, name=name)
    thread.start()
    thread.join()


def test_the_ear_hears_the_problems_of_its_clients_only() -> None:
    """Several transports may live in one process, and the rest of it may use the driver too."""
    heard: list[BaseException] = []
    ear = Ear(heard.append)
    logger = logging.getLogger("kafka.net.manager")
    problem = errors.KafkaConnectionError("x")
    ear.open("ours", "ours-admin")
    try:
        for name in ("kafka-io-ours", "kafka-io-ours-admin", "kafka-io-theirs", "other"):
            _log_in_thread(name, lambda: logger.error("Connection failed: %s", problem))
        _log_in_thread("kafka-io-ours", lambda: logger.info("all is %s", problem))
        _log_in_thread("kafka-io-ours", lambda: logger.error("no problem in %s", "here"))
        assert heard == [problem, problem]
    finally:
        ear.close()
    _log_in_thread("kafka-io-ours", lambda: logger.error("Connection failed: %s", problem))
    assert heard == [problem, problem]


def test_the_ear_hears_an_exception_that_is_logged_as_such() -> None:
    """With its traceback, and not among the arguments."""
    heard: list[BaseException] = []
    ear = Ear(heard.append)
    ear.open("ours")

    def log() -> None:
        problem = ConnectionResetError(104, "Connection reset by peer")
        logging.getLogger("kafka.net.transport").error("closing socket", exc_info=problem)

    try:
        _log_in_thread("kafka-io-ours", log)
    finally:
        ear.close()
    assert [type(each) for each in heard] == [ConnectionResetError]


# Small parts


def test_a_worker_does_one_thing_after_another() -> None:
    """What is raised is in the future; what was cancelled is not done."""
    worker = Worker("test-worker")
    gate = threading.Event()
    done: list[int] = []
    first = worker.start(gate.wait)
    cancelled = worker.start(lambda: done.append(1))
    assert cancelled.cancel()
    failed = worker.start(lambda: 1 // 0)
    last = worker.start(lambda: "last")
    gate.set()
    assert last.result(5) == "last"
    assert first.result(0)
    assert isinstance(failed.exception(0), ZeroDivisionError)
    assert not done
    worker.close()
    worker.join(5)
    assert "test-worker" not in {thread.name for thread in threading.enumerate()}


def test_a_topic_id_is_written_as_kafka_writes_it() -> None:
    """The journal may have been written with another driver."""
    assert topic_id_of("fbfffbff-fbff-fbff-fbff-fbfffbfffbff") == "-__7__v_-__7__v_-__7_w"
    assert topic_id_of("00000000-0000-0000-0000-000000000000") is None
    assert topic_id_of(None) is None


def _record(offset: int, **parts: Any) -> ConsumerRecord:
    fields = {
        "topic": "zones",
        "partition": 0,
        "leader_epoch": 0,
        "offset": offset,
        "timestamp": 1500,
        "timestamp_type": 0,
        "key": b"k",
        "value": b"value",
        "headers": [],
        "checksum": None,
        "serialized_key_size": 1,
        "serialized_value_size": 5,
        "serialized_header_size": -1,
    }
    return ConsumerRecord(**{**fields, **parts})


def test_what_was_fetched_is_sorted() -> None:
    """Seconds, not milliseconds; none where there is none; and counted, wanted or not."""
    source = TopicPartition("zones", 0)
    batches = {
        DriverPartition("zones", 0): [
            _record(3, timestamp=-1),
            _record(4, key=b"other"),
            _record(7, value=None, serialized_value_size=-1),
        ]
    }
    haul = take(batches, {0: source}, lambda key, _: key == b"k")
    assert [(record.offset, record.timestamp) for record in haul.records] == [(3, None), (7, 1.5)]
    assert haul.records[0].source is source
    assert haul.taken == 3


def test_the_page_on_drivers_tells_what_is_pinned_and_what_is_set() -> None:
    """Whoever reads it knows which options are refused, and which are ours."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "drivers.md"
    text = page.read_text(encoding="utf-8")
    for name in {*_config._PINNED, *_config._DEFAULTS} - _NO_NEWS:
        assert f"`{name}`" in text, name
