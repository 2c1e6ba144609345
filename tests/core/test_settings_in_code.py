"""Settings that are built in code are held to the rules of the file."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import asdict

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
)
from filesync.exceptions import FileSyncError, SettingValueError


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
