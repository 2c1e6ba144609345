"""A settings file becomes settings: every notation, every default, and no key without its row."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from filesync._model import Kind
from filesync._settings import (
    DaemonSettings,
    FileRule,
    KafkaSettings,
    Limits,
    RouteBy,
    Schedule,
    SecurityProtocol,
    Settings,
    Start,
)
from filesync._settings_reader import KEYS
from support.settings_examples import (
    EMPTY,
    EXAMPLE,
    FENCE,
    FOREIGN,
    MEANT,
    PAGE,
    document,
    read,
    rows,
)


def at(settings: Settings, path: str) -> Any:
    """Return the attribute at a dotted *path*."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


# What is read


def test_the_example_of_the_design_is_read() -> None:
    """Every value of the design's settings file arrives where it belongs."""
    assert read(EXAMPLE) == Settings(
        source="f.yaml",
        enabled=True,
        hostname="ns1.example",
        kafka=KafkaSettings(
            topic="knot-resolver",
            servers=("broker1:9093", "broker2:9093"),
            files_dir="/var/lib/knot-resolver",
            security_protocol=SecurityProtocol.SASL_SSL,
            ca_file="/etc/ssl/kafka-ca.pem",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="ns1",
            sasl_password_file="/etc/filesync/password",
            start=Start.EARLIEST,
            options={"confluent-kafka": {}, "kafka-python": {}},
        ),
        driver="confluent-kafka",
        daemon=DaemonSettings(
            adapter="command",
            options={
                "check": ["named-checkconf", "{path}"],
                "reload": ["rndc", "reconfig"],
                "renew": ["rndc", "reload"],
            },
        ),
        files=(
            FileRule(match="*.rpz", kind=Kind.DATA),
            FileRule(match="*.conf", kind=Kind.CONFIG),
        ),
    )


def test_what_is_left_out_has_the_documented_default() -> None:
    """Defaults are exactly those that the design fixes."""
    settings = Settings(hostname="here")
    assert (settings.enabled, settings.route_by, settings.zone_id) == (
        False,
        RouteBy.HOSTNAME,
        None,
    )
    assert (settings.driver, settings.daemon) == (
        None,
        DaemonSettings(adapter="command", options={}),
    )
    assert (settings.files, settings.file_owner, settings.file_group) == (None, None, None)
    assert (settings.file_mode, settings.log_level) == (0o640, "info")
    assert settings.kafka == KafkaSettings(
        topic="knot-resolver",
        servers=("localhost:9092",),
        files_dir="/var/lib/knot-resolver",
        security_protocol=SecurityProtocol.PLAINTEXT,
        key_file=None,
        key_password_file=None,
        cert_file=None,
        ca_file=None,
        sasl_mechanism=None,
        sasl_username=None,
        sasl_password_file=None,
        start=Start.EARLIEST,
        group=None,
        options={},
    )
    assert settings.schedule == Schedule(
        quiet=5.0,
        max_wait=30.0,
        min_gap=1.0,
        timeout=120.0,
        backoff=2.0,
        max_backoff=60.0,
        stop_timeout=30.0,
    )
    assert settings.limits == Limits(
        chunk_bytes=8 * 1024**2,
        file_bytes=1024**3,
        chunks_per_file=100_000,
        tracked_chunks=1_000_000,
        open_transfers=1024,
        spool_bytes=4 * 1024**3,
        free_space_bytes=64 * 1024**2,
        remembered=4096,
        config_bytes=16 * 1024**2,
        config_depth=100,
        expire_after=600.0,
        expire_offsets=100_000,
        expire_idle=1800.0,
        expire_total=86_400.0,
        unfinished_commits=64,
    )


@pytest.mark.parametrize("text", EMPTY)
def test_an_empty_section_is_all_defaults(text: str) -> None:
    """Sections that are missing, or whose keys are all commented out, change nothing."""
    assert read(text) == Settings(source="f.yaml", hostname="here")


@pytest.mark.parametrize(("key", "value", "path", "meant"), MEANT)
def test_a_value_arrives_as_it_was_meant(key: str, value: str, path: str, meant: object) -> None:
    """Each notation that the reference page allows gives the value that it stands for."""
    found = at(read(document(key, value)), path)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize("key", sorted(key for key in KEYS if key.startswith("filesync.limits.")))
def test_every_limit_sets_the_attribute_of_its_name(key: str) -> None:
    """A limit is not mixed up with another one."""
    name = key.rpartition(".")[2].replace("-", "_")
    assert read(document(key, "99")).limits == evolve(Limits(), **{name: 99})


def test_every_duration_of_the_schedule_sets_the_attribute_of_its_name() -> None:
    """A duration is not mixed up with another one."""
    text = (
        "filesync: {schedule: {quiet: 1, max-wait: 2, min-gap: 3, timeout: 4, "
        "backoff: 5, max-backoff: 6, stop-timeout: 7}}"
    )
    assert read(text).schedule == Schedule(
        quiet=1, max_wait=2, min_gap=3, timeout=4, backoff=5, max_backoff=6, stop_timeout=7
    )


def test_client_certificates_are_read() -> None:
    """Key, key password, certificate and CA keep apart."""
    kafka = read(
        "kafka: {security-protocol: ssl, key-file: /k, key-password-file: /p, "
        "cert-file: /c, ca-file: /a}"
    ).kafka
    assert (kafka.key_file, kafka.key_password_file) == ("/k", "/p")
    assert (kafka.cert_file, kafka.ca_file) == ("/c", "/a")


@pytest.mark.parametrize("written", ["plain", "Scram-Sha-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["sasl_plaintext", "SASL_SSL"])
def test_sasl_is_read_in_any_case(protocol: str, written: str) -> None:
    """Protocol and mechanism are known in any case and kept in one."""
    kafka = read(
        f"kafka: {{security-protocol: {protocol}, sasl-mechanism: {written}, "
        "sasl-username: me, sasl-password-file: /p}"
    ).kafka
    assert kafka.security_protocol.value == protocol.lower()
    assert kafka.sasl_mechanism == written.upper()
    assert (kafka.sasl_username, kafka.sasl_password_file) == ("me", "/p")


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_is_not_ours_is_left_alone(foreign: str) -> None:
    """Other top-level keys may hold anything that is YAML."""
    ours = "kafka: {topic: mine}"
    expected = Settings(source="f.yaml", hostname="here", kafka=KafkaSettings(topic="mine"))
    assert read(f"{foreign}\n{ours}\n") == read(f"{ours}\n{foreign}\n") == expected


def test_an_anchor_in_our_sections_may_serve_others() -> None:
    """Only what an alias would put into our sections is refused."""
    assert read("kafka: &k {topic: &t mine}\nother: [*k, *t]").kafka.topic == "mine"


# The reference page


def test_the_page_lists_exactly_the_keys_that_are_read() -> None:
    """Nothing can be set that is not documented, and the other way round."""
    assert sorted(key for key, _ in rows()) == sorted(KEYS)


def test_the_page_tells_the_defaults() -> None:
    """Writing a documented default into a file changes nothing."""
    told = [(key, default[1:-1]) for key, default in rows() if default.startswith("`")]
    assert len(told) > len(KEYS) / 2
    for key, default in told:
        assert read(document(key, default)) == read("kafka:"), key


def test_the_examples_of_the_page_are_read() -> None:
    """Every YAML block of the page is a whole settings file."""
    examples = FENCE.findall(PAGE.read_text())
    assert EXAMPLE in examples
    for text in examples:
        assert read(text).hostname
