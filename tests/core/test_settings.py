"""A settings file becomes settings, or one complaint that says where and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import asdict, evolve
from hypothesis import example, given
from hypothesis import strategies as st

from filesync._model import Kind
from filesync._setting_checks import server_address
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
from filesync._settings_reader import KEYS, read_settings
from filesync._wording import shown, suggestion
from filesync._yaml import MAX_CHARACTERS, MAX_DEPTH
from filesync.exceptions import FileSyncError, SettingsError, SettingValueError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"

#: The one in the reference page.
EXAMPLE = """\
hostname: ns1.example
kafka:
  enable: true
  topic: knot-resolver
  server: [broker1@9093, broker2@9093]
  files-dir: /var/lib/knot-resolver
  security-protocol: sasl_ssl
  ca-file: /etc/ssl/kafka-ca.pem
  sasl-mechanism: SCRAM-SHA-512
  sasl-username: ns1
  sasl-password-file: /etc/filesync/password
  start: earliest
  options: {confluent-kafka: {}, kafka-python: {}}
filesync:
  driver: confluent-kafka
  daemon:
    adapter: command
    check: [named-checkconf, "{path}"]
    reload: [rndc, reconfig]
    renew: [rndc, reload]
  files: [{match: "*.rpz", kind: data}, {match: "*.conf", kind: config}]
  schedule: {quiet: 5s, max-wait: 30s}
  limits: {}
"""


def read(text: str) -> Settings:
    """Read *text* as the file ``f.yaml`` on the host ``here``."""
    return read_settings(text, source="f.yaml", default_hostname="here")


def complaint(text: str) -> SettingsError:
    """Return what `read` raises."""
    with pytest.raises(SettingsError) as caught:
        read(text)
    return caught.value


def document(key: str, value: str) -> str:
    """Return a document in which the dotted *key* is *value*, as YAML."""
    *sections, name = key.split(".")
    return "".join(f"{' ' * depth}{section}:\n" for depth, section in enumerate(sections)) + (
        f"{' ' * len(sections)}{name}: {value}\n"
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


@pytest.mark.parametrize(
    "text",
    [
        "workers: 2",
        "kafka:",
        "kafka: {}\nfilesync: ~",
        "filesync:\n  daemon:\n  schedule:\n  limits: {}\n  routing:\nkafka:\n  options:",
    ],
)
def test_an_empty_section_is_all_defaults(text: str) -> None:
    """Sections that are missing, or whose keys are all commented out, change nothing."""
    assert read(text) == Settings(source="f.yaml", hostname="here")


@pytest.mark.parametrize(
    ("key", "value", "path", "meant"),
    [
        ("hostname", "NS1.example.", "hostname", "NS1.example"),
        ("kafka.enable", "yes", "enabled", True),
        ("kafka.enable", "OFF", "enabled", False),
        *(("kafka.enable", word, "enabled", True) for word in ["true", "True", "on"]),
        *(("kafka.enable", word, "enabled", False) for word in ["false", "no"]),
        ("kafka.topic", "a.B_c-9", "kafka.topic", "a.B_c-9"),
        ("kafka.topic", "'1'", "kafka.topic", "1"),
        ("kafka.topic", "!!str 1", "kafka.topic", "1"),
        ("kafka.server", "broker1", "kafka.servers", ("broker1:9092",)),
        ("kafka.server", "['[::1]', b@1]", "kafka.servers", ("[::1]:9092", "b:1")),
        ("kafka.files-dir", "/srv/files/", "kafka.files_dir", "/srv/files"),
        (
            "kafka.security-protocol",
            "Plaintext",
            "kafka.security_protocol",
            SecurityProtocol("plaintext"),
        ),
        ("kafka.security-protocol", "SSL", "kafka.security_protocol", SecurityProtocol.SSL),
        ("kafka.start", "latest", "kafka.start", Start.LATEST),
        ("kafka.group", "resolvers", "kafka.group", "resolvers"),
        (
            "kafka.options",
            "{d: {a.b: x, n: -1, r: 1.5, t: true}, e:}",
            "kafka.options",
            {"d": {"a.b": "x", "n": -1, "r": 1.5, "t": True}, "e": {}},
        ),
        ("filesync.driver", "kafka-python", "driver", "kafka-python"),
        ("filesync.daemon", "{adapter: knot}", "daemon", DaemonSettings(adapter="knot")),
        (
            "filesync.daemon",
            "{a: [1, 1_000, -2.5, [no, {b: c}]], d: {e: '1e3'}}",
            "daemon.options",
            {"a": [1, 1000, -2.5, [False, {"b": "c"}]], "d": {"e": "1e3"}},
        ),
        ("filesync.routing", "{by: zone-id, zone-id: '7'}", "route_by", RouteBy.ZONE_ID),
        ("filesync.routing", "{by: zone-id, zone-id: '7'}", "zone_id", "7"),
        ("filesync.file-owner", "_knot-resolver$", "file_owner", "_knot-resolver$"),
        ("filesync.file-group", "'1000'", "file_group", "1000"),
        ("filesync.file-mode", "0600", "file_mode", 0o600),
        ("filesync.file-mode", "'0755'", "file_mode", 0o755),
        ("filesync.file-mode", "0o664", "file_mode", 0o664),
        ("filesync.log-level", "debug", "log_level", "debug"),
        ("filesync.schedule.quiet", "0", "schedule.quiet", 0.0),
        ("filesync.schedule.quiet", "2.5", "schedule.quiet", 2.5),
        ("filesync.schedule.quiet", "500ms", "schedule.quiet", 0.5),
        ("filesync.schedule.max-wait", "2m", "schedule.max_wait", 120.0),
        ("filesync.schedule.min-gap", "1 h", "schedule.min_gap", 3600.0),
        ("filesync.schedule.timeout", "'1.5s'", "schedule.timeout", 1.5),
        ("filesync.schedule.stop-timeout", "168h", "schedule.stop_timeout", 604_800.0),
        ("filesync.limits.chunk-bytes", "512KiB", "limits.chunk_bytes", 524_288),
        ("filesync.limits.chunk-bytes", "100", "limits.chunk_bytes", 100),
        ("filesync.limits.chunk-bytes", "100B", "limits.chunk_bytes", 100),
        ("filesync.limits.file-bytes", "2 GiB", "limits.file_bytes", 2 * 1024**3),
        ("filesync.limits.file-bytes", "1GB", "limits.file_bytes", 10**9),
        ("filesync.limits.spool-bytes", "3TiB", "limits.spool_bytes", 3 * 1024**4),
        ("filesync.limits.spool-bytes", "3TB", "limits.spool_bytes", 3 * 10**12),
        ("filesync.limits.config-bytes", "5kB", "limits.config_bytes", 5000),
        ("filesync.limits.config-bytes", "5MB", "limits.config_bytes", 5_000_000),
        ("filesync.limits.config-bytes", "5MiB", "limits.config_bytes", 5 * 1024**2),
        ("filesync.limits.free-space-bytes", "0", "limits.free_space_bytes", 0),
        ("filesync.limits.remembered", "1_000", "limits.remembered", 1000),
        ("filesync.limits.config-depth", "200", "limits.config_depth", 200),
        ("filesync.limits.expire-offsets", "7", "limits.expire_offsets", 7),
        ("filesync.limits.expire-total", "2h", "limits.expire_total", 7200.0),
    ],
)
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


@pytest.mark.parametrize(
    "foreign",
    [
        "cache: {size-max: 1M, size-max: 2M}",
        "rate: !custom {a: b}",
        "base: &base {a: 1}\nmore: {<<: *base, b: *base}",
        "1: one\ntrue: yes\n? [a, b]\n: c\n? {}\n: d",
        "lua: |\n  x = 1",
        'odd: "\\ud800"',
        "!custom kafka: {typo: 1}",
        "kafka-like: {topic: 1}",
    ],
)
def test_what_is_not_ours_is_left_alone(foreign: str) -> None:
    """Other top-level keys may hold anything that is YAML."""
    ours = "kafka: {topic: mine}"
    expected = Settings(source="f.yaml", hostname="here", kafka=KafkaSettings(topic="mine"))
    assert read(f"{foreign}\n{ours}\n") == read(f"{ours}\n{foreign}\n") == expected


def test_an_anchor_in_our_sections_may_serve_others() -> None:
    """Only what an alias would put into our sections is refused."""
    assert read("kafka: &k {topic: &t mine}\nother: [*k, *t]").kafka.topic == "mine"


# What is refused, and where

REFUSED = [
    # The document.
    ("", None, "", "is empty: write a mapping with the keys hostname, kafka, filesync"),
    ("# nothing\n", None, "", "is empty"),
    ("---\n~\n", None, "", "is empty"),
    ("\n- kafka\n", 2, "", "must be a mapping with the keys hostname, kafka, filesync"),
    ("\nkafka\n", 2, "", "must be a mapping"),
    ("!custom {kafka: {}}", 1, "", "YAML takes this for '!custom'"),
    ("kafka:\n  topic: 'a\n", 3, "", "not valid YAML, column 1: while scanning a quoted scalar, "),
    ("kafka:\n\ttopic: a\n", 2, "", "not valid YAML, column 1: "),
    ("a: 1\n---\nb: 2\n", 2, "", "not valid YAML, column 1: expected a single document"),
    ("a: 1\nb: *nowhere\n", 2, "", "not valid YAML, column 4: found undefined alias 'nowhere'"),
    (
        "a: b\nc: de\x07\n",
        2,
        "",
        "column 6: the character U+0007 is not allowed; write it as an esc",
    ),
    ("\x00", 1, "", "not valid YAML, column 1: the character U+0000"),
    ('a: 1\nb: "\\UFFFFFFFF"\n', 2, "", "an escape, or the version after %YAML, is out of range"),
    ('a: 1\nb: "\\U00110000"\n', 2, "", "is out of range"),
    ("%YAML " + "9" * 5000 + ".1\n--- a", 1, "", "not valid YAML"),
    ("a: 1\nb: &x 1\nc: &x 2\n", 3, "", "duplicate anchor"),
    # Keys.
    ("a: 1\nb: 2\na: 3\n", 3, "a", "the key is given twice, first in line 1"),
    ("1: 1\n1: 3\n", 2, "1", "the key is given twice, first in line 1"),
    ("kafka: {}\nx: 1\n'kafka': {}\n", 3, "kafka", "given twice, first in line 1"),
    ("kafka:\n  topic: a\n  topic: a\n", 3, "kafka.topic", "given twice, first in line 2"),
    ("filesync:\n  daemon:\n    x: {y: 1, y: 1}\n", 3, "filesync.daemon.x.y", "given twice"),
    ("kafka:\n  tpoic: a\n", 2, "kafka.tpoic", "unknown key; did you mean topic?"),
    ("kafka:\n  Files_Dir: /a\n", 2, "kafka.Files_Dir", "did you mean files-dir?"),
    ("filesync:\n  shedule: {}\n", 2, "filesync.shedule", "did you mean schedule?"),
    ("filesync:\n  schedule.quiet: 5\n", 2, "filesync.schedule.quiet", "unknown key"),
    ("kafka:\n  sasl-password: hunter2\n", 2, "kafka.sasl-password", "did you mean sasl-password-"),
    (
        "filesync:\n  routing:\n    x: 1\n",
        3,
        "filesync.routing.x",
        "unknown key; known here: by, zone-id",
    ),
    ("kafka:\n  'a\\b': 1\n", 2, "kafka.'a\\\\b'", "unknown key"),
    ("kafka:\n  1: 1\n", 2, "kafka.1", "a key must be text: put it in quotes"),
    ("kafka:\n  ? [a]\n  : 1\n", 2, "kafka", "a key must be text; an address in brackets needs"),
    ("a: &a {topic: x}\nkafka: *a\n", 2, "kafka", "the alias '*a' is not allowed: write the value"),
    ("a: &a x\nkafka:\n  topic: *a\n", 3, "kafka.topic", "write the value out"),
    ("a: &a topic\nkafka:\n  *a : x\n", 3, "kafka.a", "write the keys out"),
    ("a: &a kafka\n*a : x\n", 2, "a", "aliases and merge keys are not allowed here"),
    ("a: &a {b: c}\nkafka:\n  <<: *a\n", 3, "kafka.'<<'", "aliases and merge keys are not allowed"),
    ("<<: {kafka: {}}\n", 1, "'<<'", "aliases and merge keys are not allowed"),
    # Sections.
    ("kafka: on\n", 1, "kafka", "must be a section: keys with values"),
    ("x: 1\nfilesync:\n- a\n", 3, "filesync", "must be a section"),
    ("filesync:\n  limits: 5\n", 2, "filesync.limits", "must be a section"),
    ("filesync:\n  daemon: command\n", 2, "filesync.daemon", "must be a section"),
    ("kafka:\n  options: [a]\n", 2, "kafka.options", "must be a section"),
    ("kafka:\n  options:\n    d: 1\n", 3, "kafka.options.d", "must be a section"),
    # Text.
    ("kafka:\n  topic:\n", 2, "kafka.topic", "must be text; for the default leave the key out"),
    ("kafka:\n  topic: 1\n", 2, "kafka.topic", "must be text: write '1', with the quotes"),
    ("kafka:\n  topic: no\n", 2, "kafka.topic", "must be text: write 'no', with the quotes"),
    ("kafka:\n  topic: [a]\n", 2, "kafka.topic", "must be text; not a list"),
    ("kafka:\n  topic: {a: b}\n", 2, "kafka.topic", "must be text; not a section"),
    ("kafka:\n  topic:\n    2001-01-01\n", 3, "kafka.topic", "takes this for 'timestamp'"),
    ("kafka:\n  topic: !x a\n", 2, "kafka.topic", "put text in quotes"),
    (
        "kafka:\n  topic: !!set {a}\n",
        2,
        "kafka.topic",
        "'set', but only text, numbers, true, false",
    ),
    ('kafka:\n  group: "\\ud800"\n', 2, "kafka.group", "must not contain NUL or half a surrogate"),
    ('filesync:\n  daemon: {a: ["b\\0"]}\n', 2, "filesync.daemon.a", "must not contain NUL"),
    ("kafka:\n  topic: a/b\n", 2, "kafka.topic", "1 to 249 of the characters A-Z a-z 0-9 . _ -"),
    ("kafka:\n  topic: '..'\n", 2, "kafka.topic", "must be a Kafka topic"),
    ("kafka:\n  topic: " + "a" * 250, 2, "kafka.topic", "1 to 249"),
    ("kafka:\n  topic: ä\n", 2, "kafka.topic", "must be a Kafka topic"),
    ("kafka:\n  group: ''\n", 2, "kafka.group", "must be text, and not empty"),
    ('kafka:\n  group: "a\\nb"\n', 2, "kafka.group", "must not contain control characters; not 'a"),
    ("hostname: ''\n", 1, "hostname", "must be a host name: printable ASCII"),
    (
        "hostname: a b\n",
        1,
        "hostname",
        "printable ASCII without spaces and empty labels; not 'a b'",
    ),
    ("hostname: n\u00e4me\n", 1, "hostname", "printable ASCII"),
    ("hostname: a..b\n", 1, "hostname", "empty labels"),
    ("hostname: a..\n", 1, "hostname", "empty labels"),
    ("hostname: 7\n", 1, "hostname", "with the quotes"),
    # Files and directories.
    ("kafka:\n  files-dir: files\n", 2, "kafka.files-dir", "absolute path, one that starts with /"),
    ("kafka:\n  files-dir: /\n", 2, "kafka.files-dir", "must be an absolute path below /"),
    ("kafka:\n  files-dir: //\n", 2, "kafka.files-dir", "must be an absolute path below /"),
    ("kafka:\n  files-dir: /a//b\n", 2, "kafka.files-dir", "without empty parts"),
    ("kafka:\n  files-dir: /a/./b\n", 2, "kafka.files-dir", "parts . or .."),
    ("kafka:\n  files-dir: /a/..\n", 2, "kafka.files-dir", "parts . or .."),
    ("kafka:\n  ca-file: ca.pem\n", 2, "kafka.ca-file", "must be an absolute path"),
    ("kafka:\n  key-file: ''\n", 2, "kafka.key-file", "must be text, and not empty"),
    # Servers.
    ("kafka:\n  server: []\n", 2, "kafka.server", "must name a server"),
    ("kafka:\n  server:\n", 2, "kafka.server", "must be a server such as broker1@9092 or"),
    ("kafka:\n  server: {a: 1}\n", 2, "kafka.server", "or a list of them; not a section"),
    (
        "kafka:\n  server:\n  - a\n  - b@x\n",
        4,
        "kafka.server",
        "host, host@port, host:port or [IPv6",
    ),
    ("kafka:\n  server:\n  - a\n  - [b]\n", 4, "kafka.server", "must be a server such as"),
    ("kafka:\n  server: 9092\n", 2, "kafka.server", "must be text: write '9092'"),
    ("kafka:\n  server: 'a:0'\n", 2, "kafka.server", "the port from 1 to 65535; not 'a:0'"),
    # Words.
    ("kafka:\n  enable: 'true'\n", 2, "kafka.enable", "must be true or false, without quotes"),
    ("kafka:\n  enable: 1\n", 2, "kafka.enable", "must be true or false"),
    ("kafka:\n  enable:\n", 2, "kafka.enable", "must be true or false"),
    ("kafka:\n  enable: !!bool 1\n", 2, "kafka.enable", "must be true or false"),
    (
        "kafka:\n  start: Latest\n",
        2,
        "kafka.start",
        "one of earliest, latest; not 'Latest'; did you",
    ),
    ("kafka:\n  start: [a]\n", 2, "kafka.start", "must be one of earliest, latest; not a list"),
    (
        "kafka:\n  security-protocol: sasl-ssl\n",
        2,
        "kafka.security-protocol",
        "plaintext, ssl, sasl_plaintext, sasl_ssl; not 'sasl-ssl'; did you mean sasl_ssl?",
    ),
    ("kafka:\n  security-protocol: x\n", 2, "kafka.security-protocol", "sasl_ssl; not 'x'"),
    (
        "kafka:\n  sasl-mechanism: scram-sha512\n",
        2,
        "kafka.sasl-mechanism",
        "SCRAM-SHA-256, SCRAM-SHA-512; not 'SCRAM-SHA512'; did you mean SCRAM-SHA-512?",
    ),
    ("filesync:\n  log-level: warn\n", 2, "filesync.log-level", "did you mean warning?"),
    ("filesync:\n  routing:\n    by: zone\n", 3, "filesync.routing.by", "did you mean zone-id?"),
    # Durations.
    *(
        (f"filesync:\n  schedule:\n    quiet: {value}\n", 3, "filesync.schedule.quiet", words)
        for value, words in [
            (
                "5 seconds",
                "a number of seconds, or a duration such as 500ms, 5s, 2m or 1h; not '5 s",
            ),
            ("-1", "must be a number of seconds"),
            ("5S", "must be a number of seconds"),
            ("1:30", "must be a number of seconds"),
            (".inf", "must be a number of seconds"),
            (".nan", "must be a number of seconds"),
            ("9" * 400, "must be a number of seconds"),
            ("true", "must be a number of seconds"),
            ("[5]", "must be a number of seconds"),
            ("169h", "must be at least 0 and at most 604800 seconds (one week); not 608400"),
            ("\u0665", "must be a number of seconds"),
        ]
    ),
    *(
        (
            f"filesync:\n  schedule:\n    {name}: 0\n",
            3,
            f"filesync.schedule.{name}",
            "more than 0 and",
        )
        for name in ["timeout", "backoff", "max-backoff", "stop-timeout"]
    ),
    *(
        (f"filesync:\n  limits:\n    {name}: 0s\n", 3, f"filesync.limits.{name}", "more than 0 and")
        for name in ["expire-after", "expire-idle", "expire-total"]
    ),
    # Sizes and counts.
    *(
        (f"filesync:\n  limits:\n    file-bytes: {value}\n", 3, "filesync.limits.file-bytes", words)
        for value, words in [
            (
                "8M",
                "a whole number of bytes, or a size such as 512KiB; units: B, KiB, MiB, GiB, TiB",
            ),
            ("8mib", "units: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; not '8mib'"),
            ("1.5GiB", "a whole number of bytes"),
            ("-1", "a whole number of bytes"),
            ("lots", "a whole number of bytes"),
            ("0", "must be a whole number from 1 to 9223372036854775807"),
            ("99999999TiB", "must be a whole number from 1 to 9223372036854775807"),
        ]
    ),
    *(
        (f"filesync:\n  limits:\n    remembered: {value}\n", 3, "filesync.limits.remembered", words)
        for value, words in [
            ("010", "a whole number such as 1000 or 1_000; not '010'"),
            ("0x10", "a whole number such as 1000"),
            ("1.0", "a whole number such as 1000"),
            ("10_00", "a whole number such as 1000"),
            ("true", "a whole number such as 1000"),
            ("0", "must be a whole number from 1 to"),
        ]
    ),
    (
        "filesync:\n  limits:\n    chunk-bytes: 513MiB\n",
        3,
        "filesync.limits.chunk-bytes",
        "a whole number from 1 to 536870912",
    ),
    (
        "filesync:\n  limits:\n    config-depth: 201\n",
        3,
        "filesync.limits.config-depth",
        "a whole number from 1 to 200",
    ),
    # Modes and owners.
    (
        "filesync:\n  file-mode: 640\n",
        2,
        "filesync.file-mode",
        "octal with a leading 0, such as 0640",
    ),
    ("filesync:\n  file-mode: rw\n", 2, "filesync.file-mode", "octal with a leading 0"),
    ("filesync:\n  file-mode: 0o999\n", 2, "filesync.file-mode", "octal with a leading 0"),
    (
        "filesync:\n  file-mode: 0666\n",
        2,
        "filesync.file-mode",
        "not let everybody write: 0640, say, i",
    ),
    ("filesync:\n  file-mode: 04640\n", 2, "filesync.file-mode", "bits from 0000 to 0777"),
    (
        "filesync:\n  file-owner: 0\n",
        2,
        "filesync.file-owner",
        "must be text: write '0', with the q",
    ),
    ("filesync:\n  file-owner: a:b\n", 2, "filesync.file-owner", "a name without spaces, : and /"),
    ("filesync:\n  file-group: ''\n", 2, "filesync.file-group", "must be text, and not empty"),
    # Rules.
    ("filesync:\n  files:\n", 2, "filesync.files", 'must be a list such as [{match: "*.rpz", kind'),
    ("filesync:\n  files: {}\n", 2, "filesync.files", "must be a list"),
    (
        "filesync:\n  files: []\n",
        2,
        "filesync.files",
        "must have a rule: an empty list refuses every",
    ),
    ("filesync:\n  files:\n  - '*.rpz'\n", 3, "filesync.files", "must be a section"),
    (
        "filesync:\n  files:\n  - match: a\n",
        3,
        "filesync.files",
        "needs match and kind: kind is miss",
    ),
    ("filesync:\n  files:\n  - kind: data\n", 3, "filesync.files", "match is missing"),
    (
        "filesync:\n  files:\n  - match: a\n    kind: dta\n",
        4,
        "filesync.files.kind",
        "must be one of data, config; not 'dta'; did you mean data?",
    ),
    (
        "filesync:\n  files:\n  - match: a\n    knd: data\n",
        4,
        "filesync.files.knd",
        "unknown key; did you mean kind?",
    ),
    (
        "filesync:\n  files:\n  - {match: a, kind: data}\n  - {match: /a, kind: data}\n",
        4,
        "filesync.files.match",
        "a pattern for names relative to files-dir, such as *.rpz or zones/*; not '/a'",
    ),
    ("filesync:\n  files:\n  - {match: '', kind: data}\n", 3, "filesync.files.match", "not empty"),
    # Options.
    (
        "kafka:\n  options:\n    d:\n      a: [1]\n",
        4,
        "kafka.options.d.a",
        "'a' must be text, a number, true or false",
    ),
    (
        "kafka:\n  options:\n    d:\n      a:\n",
        4,
        "kafka.options.d.a",
        "must be text, a number, true",
    ),
    *(
        (
            f"kafka:\n  options:\n    d:\n      {name}: hunter2\n",
            4,
            f"kafka.options.d.{name}",
            "holds a secret, and settings never do: use sasl-password-file, key-file or key-passw",
        )
        for name in ["sasl.password", "ssl_Password", "ssl.key.pem", "client.secret", "passphrase"]
    ),
    (
        "filesync:\n  daemon:\n    a: [b, ~]\n",
        3,
        "filesync.daemon.a",
        "must be text, a number, true",
    ),
    (
        "filesync:\n  daemon:\n    a: 0640\n",
        3,
        "filesync.daemon.a",
        "a decimal number, or in quotes",
    ),
    (
        "filesync:\n  daemon:\n    a: 1:30\n",
        3,
        "filesync.daemon.a",
        "a decimal number, or in quotes",
    ),
    (
        "filesync:\n  daemon:\n    a: .nan\n",
        3,
        "filesync.daemon.a",
        "a finite decimal number, or in",
    ),
    ("filesync:\n  daemon:\n    a: 1:30.5\n", 3, "filesync.daemon.a", "a finite decimal number"),
    (
        "filesync:\n  daemon:\n    a: !!float inf\n",
        3,
        "filesync.daemon.a",
        "a finite decimal number",
    ),
    ("filesync:\n  daemon:\n    adapter: ''\n", 3, "filesync.daemon.adapter", "not empty"),
    ("filesync:\n  daemon:\n    adapter: 1\n", 3, "filesync.daemon.adapter", "with the quotes"),
    ("filesync:\n  driver: ''\n", 2, "filesync.driver", "must be text, and not empty"),
    # What does not go together.
    *(
        (
            f"kafka:\n  topic: a\n  {name}: /x\n",
            3,
            f"kafka.{name}",
            "has no effect without TLS: security-protocol must be ssl or sasl_ssl, not plaintext",
        )
        for name in ["ca-file", "cert-file", "key-file", "key-password-file"]
    ),
    *(
        (
            f"kafka:\n  security-protocol: ssl\n  {name}: {value}\n",
            3,
            f"kafka.{name}",
            "without SASL: security-protocol must be sasl_ssl or sasl_plaintext, not ssl",
        )
        for name, value in [
            ("sasl-mechanism", "plain"),
            ("sasl-username", "a"),
            ("sasl-password-file", "/p"),
        ]
    ),
    (
        "kafka: {security-protocol: sasl_plaintext, sasl-mechanism: plain, ca-file: /x}",
        1,
        "kafka.ca-file",
        "has no effect without TLS: security-protocol must be ssl or sasl_ssl, not sasl_plaintext",
    ),
    *(
        (
            "kafka:\n  security-protocol: sasl_ssl\n"
            + "".join(f"  {name}: /plain\n" for name in names if name != missing).replace(
                "mechanism: /", "mechanism: "
            ),
            2,
            "kafka.security-protocol",
            f"sasl_ssl needs sasl-mechanism, sasl-username, sasl-password-file: {missing} is",
        )
        for names in [("sasl-mechanism", "sasl-username", "sasl-password-file")]
        for missing in names
    ),
    (
        "kafka:\n  security-protocol: ssl\n  cert-file: /c\n",
        3,
        "kafka.cert-file",
        "cert-file and key-file come together",
    ),
    (
        "kafka:\n  security-protocol: ssl\n  key-file: /c\n",
        3,
        "kafka.key-file",
        "cert-file and key-file come together",
    ),
    (
        "kafka:\n  security-protocol: ssl\n  key-password-file: /c\n",
        3,
        "kafka.key-password-file",
        "comes with key-file and cert-file only",
    ),
    (
        "filesync:\n  schedule:\n    max-wait: 4s\n",
        3,
        "filesync.schedule.max-wait",
        "max-wait (4 s) must be at least quiet (5 s)",
    ),
    (
        "filesync:\n  schedule:\n    min-gap: 1s\n    quiet: 31s\n",
        4,
        "filesync.schedule.quiet",
        "max-wait (30 s) must be at least quiet (31 s)",
    ),
    (
        "filesync:\n  schedule:\n    max-backoff: 1s\n",
        3,
        "filesync.schedule.max-backoff",
        "max-backoff (1 s) must be at least backoff (2 s)",
    ),
    (
        "filesync:\n  schedule:\n    backoff: 61s\n",
        3,
        "filesync.schedule.backoff",
        "max-backoff (60 s) must be at least backoff (61 s)",
    ),
    (
        "filesync:\n  routing:\n    by: zone-id\n",
        3,
        "filesync.routing.by",
        "zone-id needs a zone-id beside it",
    ),
    (
        "filesync:\n  routing:\n    zone-id: a\n",
        3,
        "filesync.routing.zone-id",
        "has no effect unless routing is by zone-id",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "words"), REFUSED)
def test_a_mistake_is_told_with_line_key_and_what_is_allowed(
    text: str, line: int | None, key: str, words: str
) -> None:
    """Every complaint is one line that leads to the mistake and out of it."""
    error = complaint(text)
    assert (error.source, error.line, error.key) == ("f.yaml", line, key)
    assert words in str(error)
    assert len(str(error).splitlines()) == 1
    assert "hunter2" not in str(error)


def test_a_system_with_an_impossible_host_name_needs_one_in_the_file() -> None:
    """The key is named though no line holds it; a `hostname` in the file helps."""
    with pytest.raises(SettingsError, match="printable ASCII") as caught:
        read_settings("kafka: {}", source="f.yaml", default_hostname="n\u00e4me")
    assert (caught.value.line, caught.value.key) == (None, "hostname")
    assert read_settings("hostname: a", source="f", default_hostname="").hostname == "a"


def test_a_document_may_be_long_but_not_endless() -> None:
    """The bound is exact."""
    start = "kafka: {topic: t} #"
    text = start + "x" * (MAX_CHARACTERS - len(start))
    assert read(text).kafka.topic == "t"
    assert "1048577 characters are too many: at most 1048576" in str(complaint(text + "x"))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_a_document_may_be_deep_but_not_bottomless(opening: str, closing: str) -> None:
    """The bound is exact, in the sections of others too, and spares the stack."""
    levels = MAX_DEPTH - 2
    fits, over = (f"other:\n  {opening * n}x{closing * n}\n" for n in (levels, levels + 1))
    assert read(fits) == Settings(source="f.yaml", hostname="here")
    error = complaint(over)
    assert (error.line, "at most 50 levels" in str(error)) == (2, True)
    assert complaint(f"other:\n  {opening * 20_000}").line == 2


def test_siblings_are_not_depth() -> None:
    """Only what stands inside one another counts, aliases too."""
    assert read("a: &a 1\nother: [" + "[*a], " * 100 + "]").hostname == "here"


def test_long_names_are_cut_in_messages() -> None:
    """A complaint stays readable whatever is written."""
    assert len(str(complaint("kafka: {" + "a" * 1000 + ": 1}"))) < 400
    assert len(str(complaint("a: *" + "a" * 1000))) < 300
    assert len(str(complaint("kafka: {topic: '" + "/" * 1000 + "'}"))) < 300
    assert shown("a" * 60) == "'" + "a" * 60 + "'"
    assert shown("a" * 61) == "'" + "a" * 60 + "'\u2026"


@pytest.mark.parametrize(
    ("word", "expected"),
    [("MAX_WAIT", "did you mean max-wait?"), ("maxwait", "did you mean max-wait?"), ("zzz", "")],
)
def test_a_near_miss_is_recognised(word: str, expected: str) -> None:
    """Case and underscores do not count, and nothing is suggested for nonsense."""
    assert suggestion(word, ["quiet", "max-wait"]) == expected


# Servers

HOSTS = st.sampled_from(["a", "broker-1.example", "_x.y", "10.0.0.1", "example.com.", "A" * 63])
SIXES = st.ip_addresses(v=6).map(str) | st.sampled_from(["::1", "fe80::1%eth0", "::ffff:1.2.3.4"])
PORTS = st.integers(1, 65535)


@given(HOSTS, PORTS)
def test_a_server_has_one_normal_form(host: str, port: int) -> None:
    """Both spellings of a name with a port mean the same, and normal form is stable."""
    normal = f"{host}:{port}"
    assert {server_address(text) for text in (normal, f"{host}@{port}")} == {normal}
    assert server_address(host) == f"{host}:9092"


@given(SIXES, PORTS)
def test_an_ipv6_server_has_one_normal_form(host: str, port: int) -> None:
    """All spellings of an IPv6 address with a port mean the same."""
    normal = f"[{host}]:{port}"
    spellings = (normal, f"[{host}]@{port}", f"{host}@{port}")
    assert {server_address(text) for text in spellings} == {normal}
    assert server_address(f"[{host}]") == f"[{host}]:9092"


def normal_or_none(text: str) -> str | None:
    """Return the normal form; None: it is refused, by `ValueError` and nothing else."""
    try:
        return server_address(text)
    except ValueError:
        return None


@given(st.text() | st.from_regex(r"\[?[a-z0-9.:%@-]{0,9}\]?[:@]?[0-9]{0,6}", fullmatch=True))
def test_a_server_is_normal_or_refused(text: str) -> None:
    """What is accepted is a fixed point, and can never become two servers."""
    normal = normal_or_none(text)
    if normal is not None:
        assert server_address(normal) == normal
        assert re.fullmatch(r"[\w.:%\[\]-]+:[1-9][0-9]*", normal, re.ASCII)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":9092",
        "@9092",
        "a:",
        "a@",
        "a:0",
        "a:65536",
        "a:09092",
        "a:+1",
        "a:1\n",
        "a:b:c",
        "::1",
        "fe80::1:9092",
        "[::1",
        "[::1]9092",
        "[::1]:",
        "[]:1",
        "[a]:1",
        "[1.2.3.4]:1",
        "[::1%a,b]:1",
        "[::g]",
        "a,b",
        "a b",
        "-a",
        "a-",
        "a..b",
        ".a",
        "b\u00fccher",
        "1.2.3",
        "1.2.3.256",
        "9092",
        "a" * 64,
        ".".join(["a" * 62] * 5),
        "PLAINTEXT://a:9092",
    ],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    """Doubtful addresses are not guessed at."""
    with pytest.raises(ValueError, match="must be host"):
        server_address(text)


@given(st.lists(HOSTS, min_size=1))
def test_lists_of_servers_keep_their_order(hosts: list[str]) -> None:
    """A list in the file, in code, and a single server agree."""
    expected = tuple(f"{host}:9092" for host in hosts)
    assert read(yaml.safe_dump({"kafka": {"server": hosts}})).kafka.servers == expected
    assert KafkaSettings(servers=tuple(hosts)).servers == expected
    assert KafkaSettings(servers=hosts[0]).servers == expected[:1]


# Values built in code


@pytest.mark.parametrize(
    ("kind", "values", "fields"),
    [
        (Settings, {"hostname": ""}, ("hostname",)),
        (Settings, {"hostname": None}, ("hostname",)),
        (Settings, {"hostname": "a", "route_by": "hostname"}, ("route_by",)),
        (Settings, {"hostname": "a", "route_by": RouteBy.ZONE_ID}, ("route_by",)),
        (Settings, {"hostname": "a", "zone_id": "z"}, ("zone_id",)),
        (Settings, {"hostname": "a", "files": ()}, ("files",)),
        (Settings, {"hostname": "a", "file_mode": -1}, ("file_mode",)),
        (Settings, {"hostname": "a", "file_mode": 0o1000}, ("file_mode",)),
        (Settings, {"hostname": "a", "file_mode": 0o642}, ("file_mode",)),
        (Settings, {"hostname": "a", "file_mode": True}, ("file_mode",)),
        (Settings, {"hostname": "a", "log_level": "INFO"}, ("log_level",)),
        (Settings, {"hostname": "a", "driver": 1}, ("driver",)),
        (KafkaSettings, {"servers": ()}, ("servers",)),
        (KafkaSettings, {"servers": ("a", "b c")}, ("servers",)),
        (KafkaSettings, {"files_dir": None}, ("files_dir",)),
        (KafkaSettings, {"security_protocol": "ssl"}, ("security_protocol",)),
        (KafkaSettings, {"start": "latest"}, ("start",)),
        (KafkaSettings, {"sasl_mechanism": 5}, ("sasl_mechanism",)),
        (KafkaSettings, {"options": {"d": {"a": None}}}, ("options",)),
        (KafkaSettings, {"options": {"d": {"sasl.password": "x"}}}, ("options",)),
        (DaemonSettings, {"adapter": ""}, ("adapter",)),
        (FileRule, {"match": "*", "kind": "data"}, ("kind",)),
        (Schedule, {"quiet": -0.1}, ("quiet",)),
        (Schedule, {"quiet": float("nan")}, ("quiet",)),
        (Schedule, {"quiet": float("inf"), "max_wait": float("inf")}, ("quiet",)),
        (Schedule, {"quiet": "5s"}, ("quiet",)),
        (Schedule, {"quiet": True}, ("quiet",)),
        (Schedule, {"timeout": 0}, ("timeout",)),
        (Schedule, {"timeout": 604_801}, ("timeout",)),
        (Schedule, {"quiet": 9.0, "max_wait": 8.0}, ("max_wait", "quiet")),
        (Schedule, {"backoff": 9.0, "max_backoff": 8.0}, ("max_backoff", "backoff")),
        (Limits, {"chunk_bytes": 0}, ("chunk_bytes",)),
        (Limits, {"chunk_bytes": 1.0}, ("chunk_bytes",)),
        (Limits, {"remembered": True}, ("remembered",)),
        (Limits, {"spool_bytes": 2**63}, ("spool_bytes",)),
        (Limits, {"free_space_bytes": -1}, ("free_space_bytes",)),
        (Limits, {"expire_idle": 0.0}, ("expire_idle",)),
    ],
)
def test_wrong_values_cannot_be_built(
    kind: type[object], values: dict[str, Any], fields: tuple[str, ...]
) -> None:
    """A value in code is held to the same rules, and the error names the attribute."""
    with pytest.raises(ValueError, match=f"^{fields[0]}: ") as caught:
        kind(**values)
    assert isinstance(caught.value, SettingValueError)
    assert isinstance(caught.value, FileSyncError)
    assert caught.value.fields == fields


PATHS = ["key_file", "key_password_file", "cert_file", "ca_file", "sasl_password_file", "files_dir"]


@pytest.mark.parametrize(
    ("kind", "values", "wrong"),
    [
        (KafkaSettings, dict.fromkeys(PATHS), "relative"),
        (KafkaSettings, dict.fromkeys(["topic", "sasl_username", "group"]), ""),
        (Settings, dict.fromkeys(["zone_id", "driver", "file_owner", "file_group"]), ""),
        (Settings, dict.fromkeys(["zone_id", "driver", "file_owner", "file_group"]), "a\n"),
        (Schedule, asdict(Schedule()), -1.0),
        (Limits, asdict(Limits()), -1),
        (Limits, asdict(Limits()), 0),
        (Limits, asdict(Limits()), 2**63),
    ],
)
def test_every_attribute_is_checked(
    kind: type[object], values: dict[str, object], wrong: object
) -> None:
    """What is out of range for all of its kind is out of range for each."""
    rest = {"hostname": "a"} if kind is Settings else {}
    for name in values:
        if (name, wrong) != ("free_space_bytes", 0):
            with pytest.raises(SettingValueError, match=f"^{name}: must "):
                kind(**rest, **{name: wrong})


@pytest.mark.parametrize(
    "kind", [Settings, KafkaSettings, DaemonSettings, FileRule, Schedule, Limits]
)
def test_attributes_are_given_by_name(kind: type[Any]) -> None:
    """A new attribute never changes what an embedding program says."""
    with pytest.raises(TypeError, match="positional"):
        kind(None)


def test_the_edges_of_ranges_can_be_built() -> None:
    """The smallest and the largest value of each kind are allowed."""
    Schedule(quiet=0, max_wait=0, min_gap=0, timeout=604_800, backoff=60, max_backoff=60)
    Limits(chunk_bytes=1, spool_bytes=2**63 - 1, free_space_bytes=0, expire_total=604_800)
    Limits(chunk_bytes=512 * 1024**2, config_depth=200)
    assert Settings(hostname="a", file_mode=0o775).file_mode == 0o775
    assert Settings(hostname="!~", file_mode=0).file_mode == 0
    assert KafkaSettings(topic="a" * 249).topic == "a" * 249
    longest = ".".join(["a" * 62] * 4) + "." + "b"
    assert len(longest) == 253
    assert server_address(longest) == f"{longest}:9092"
    with pytest.raises(ValueError, match="must be host"):
        server_address(longest + "b")


def test_protocols_say_what_they_are() -> None:
    """TLS and SASL are independent of each other."""
    assert [(each.encrypted, each.authenticated) for each in SecurityProtocol] == [
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    ]


# Anything at all

WORDS = st.sampled_from(
    [
        *(part for key in KEYS for part in key.split(".")),
        *"[]{}:,-?&*!|>'\"%@#~\n\t ",
        *["<<", "*a", "&a ", "!!int ", "!!bool ", "!!float ", "!!binary ", "!x ", "---\n", "\n  "],
        *[
            ": ",
            "- ",
            "5s",
            "8MiB",
            "0640",
            "true",
            "~",
            "1:30",
            ".nan",
            "::1",
            "\\ud800",
            "=",
            "0b_",
        ],
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.dates()
    | st.binary(max_size=3)
    | WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(WORDS | SCALARS, values, max_size=3)
    ),
    max_leaves=8,
)
KNOWN = st.dictionaries(st.sampled_from(sorted(KEYS)), VALUES, max_size=4)


def settings_or_complaint(text: str) -> None:
    """Fail on any exception but `SettingsError`, and on one whose message is not one line."""
    try:
        read(text)
    except SettingsError as error:
        refusal = error
    else:
        return
    assert len(str(refusal).splitlines()) == 1
    assert refusal.source == "f.yaml"
    assert refusal.line is None or 1 <= refusal.line <= 1 + len(text)


@given(st.text(st.characters(exclude_categories=[])))
@example("%")
@example("kafka: {topic: !!int ''}")
@example("kafka: !!map")
@example("kafka: {enable: !!bool x}")
@example("filesync: {daemon: {a: !!int 0b_, b: !!float '', c: !<alias> x}}")
def test_any_text_gives_settings_or_one_complaint(text: str) -> None:
    """No text makes the reader fail in another way."""
    settings_or_complaint(text)


@given(st.lists(WORDS | st.text(max_size=3)).map("".join))
def test_anything_like_yaml_gives_settings_or_one_complaint(text: str) -> None:
    """Nor does text made of the pieces of settings files."""
    settings_or_complaint(text)


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 20), st.lists(WORDS, max_size=3).map("".join))
def test_a_damaged_file_gives_settings_or_one_complaint(start: int, cut: int, put: str) -> None:
    """Nor does a good file with a piece cut out and another put in."""
    settings_or_complaint(EXAMPLE[:start] + put + EXAMPLE[start + cut :])


@given(KNOWN)
def test_any_values_give_settings_or_one_complaint(values: dict[str, Any]) -> None:
    """Nor do known keys with values of every type."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            below = branch.setdefault(section, {})
            branch = below if isinstance(below, dict) else branch
        branch[name] = value
    settings_or_complaint(yaml.dump(tree, allow_unicode=True))


# The reference page

ROW = re.compile(r"^\| `([a-z.-]+)` \|([^|]*)\|([^|]*)\|", re.MULTILINE)
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def rows() -> list[tuple[str, str]]:
    """Return every key of the page's tables with its default."""
    return [(key, default.strip()) for key, _, default in ROW.findall(PAGE.read_text())]


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
