"""Settings files that are read, and how: for the tests of the reader and of the schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from filesync._settings import DaemonSettings, RouteBy, SecurityProtocol, Settings, Start
from filesync._settings_reader import read_settings
from filesync.exceptions import SettingsError

__all__ = [
    "EMPTY",
    "EXAMPLE",
    "FENCE",
    "FOREIGN",
    "MEANT",
    "PAGE",
    "ROW",
    "complaint",
    "document",
    "read",
    "rows",
]

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


# The reference page

ROW = re.compile(r"^\| `([a-z.-]+)` \|([^|]*)\|([^|]*)\|", re.MULTILINE)
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def rows() -> list[tuple[str, str]]:
    """Return every key of the page's tables with its default."""
    return [(key, default.strip()) for key, _, default in ROW.findall(PAGE.read_text())]


# What is read

#: All defaults: sections are missing, or their keys are all commented out.
EMPTY = [
    "workers: 2",
    "kafka:",
    "kafka: {}\nfilesync: ~",
    "filesync:\n  daemon:\n  schedule:\n  limits: {}\n  routing:\nkafka:\n  options:",
]

#: A key, what is written for it, the attribute that has it, and what it means.
MEANT: list[tuple[str, str, str, object]] = [
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
]

#: What may stand beside our sections.
FOREIGN = [
    "cache: {size-max: 1M, size-max: 2M}",
    "rate: !custom {a: b}",
    "base: &base {a: 1}\nmore: {<<: *base, b: *base}",
    "1: one\ntrue: yes\n? [a, b]\n: c\n? {}\n: d",
    "lua: |\n  x = 1",
    'odd: "\\ud800"',
    "!custom kafka: {typo: 1}",
    "kafka-like: {topic: 1}",
]
