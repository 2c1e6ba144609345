"""
A settings file's text to `Settings`, every complaint with its line.

Every key is one row of `TABLE`: which attribute of which value it sets, and
how its text becomes that attribute. The values check themselves; what they
refuse is told at the line of the key that set it.

Source: docs/reference/settings.md.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import Factory

from filesync import _setting_forms as form
from filesync._model import Kind
from filesync._setting_checks import LOG_LEVELS
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
from filesync._values import frozen
from filesync._yaml import Branch, Items, Place, Tree, parse
from filesync.exceptions import SettingValueError

__all__ = ["KEYS", "RULE", "TABLE", "TOP", "Key", "daemon", "files", "read_settings"]

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

#: The top-level keys that are ours.
TOP = ("hostname", "kafka", "filesync")


def read_settings(text: str, *, source: str, default_hostname: str) -> Settings:
    """Do what `filesync.read_settings` promises."""
    top = parse(text, source=source, wanted=TOP)
    found = {owner: _Fields(place=top.place) for owner in (Settings, *_PARTS.values())}
    _walk(top, "", found)
    fields = found[Settings]
    fields.values["source"] = source
    if "hostname" not in fields.values:
        fields.set("hostname", default_hostname, Place(source=source, key="hostname"))
    for attribute, owner in _PARTS.items():
        fields.values[attribute] = found[owner].build(owner)
    return fields.build(Settings)


@frozen(kw_only=True)
class _Fields:
    """What is known of a value before it is built, and where each attribute was set."""

    place: Place
    values: dict[str, Any] = Factory(dict)
    places: dict[str, Place] = Factory(dict)

    def set(self, attribute: str, value: object, place: Place) -> None:
        self.values[attribute] = value
        self.places[attribute] = place

    def build(self, owner: Callable[..., T]) -> T:
        try:
            return owner(**self.values)
        except SettingValueError as error:
            places = (self.places[name] for name in error.fields if name in self.places)
            raise next(places, self.place).error(error.problem) from error


def _walk(branch: Branch, prefix: str, found: Mapping[Callable[..., object], _Fields]) -> None:
    keys = (key.removeprefix(prefix) for key in TABLE if key.startswith(prefix))
    branch.refuse_unknown({key.partition(".")[0] for key in keys})
    for name, twig in branch.twigs.items():
        key = TABLE.get(prefix + name)
        if key is None:
            _walk(form.section(twig.value), f"{prefix}{name}.", found)
        else:
            found[key.owner].set(key.attribute, key.read(twig.value), twig.place)


def daemon(tree: Tree) -> DaemonSettings:
    section = form.section(tree)
    fields = _Fields(place=section.place)
    rest = {name: twig for name, twig in section.twigs.items() if name != "adapter"}
    fields.values["options"] = {name: form.plain(twig.value) for name, twig in rest.items()}
    if "adapter" in section.twigs:
        twig = section.twigs["adapter"]
        fields.set("adapter", form.text(twig.value), twig.place)
    return fields.build(DaemonSettings)


def files(tree: Tree) -> tuple[FileRule, ...]:
    if not isinstance(tree, Items):
        raise tree.place.error('must be a list such as [{match: "*.rpz", kind: data}]')
    return tuple(map(_rule, tree.items))


def _rule(tree: Tree) -> FileRule:
    section = form.section(tree)
    section.refuse_unknown(RULE)
    fields = _Fields(place=section.place)
    for name, read in RULE.items():
        if name not in section.twigs:
            raise section.place.error(f"a rule needs match and kind: {name} is missing")
        twig = section.twigs[name]
        fields.set(name, read(twig.value), twig.place)
    return fields.build(FileRule)


def _words(kind: type[E]) -> dict[str, E]:
    return {member.value: member for member in kind}


#: What a rule of `filesync.files` holds, and how each is read.
RULE: dict[str, Callable[[Tree], object]] = {
    "match": form.text,
    "kind": form.Choice(_words(Kind)),
}


@frozen
class Key:
    """What a key sets: *attribute* of an *owner*; *read* makes its value."""

    owner: type[Any]
    attribute: str
    read: Callable[[Tree], object]


#: Attributes of `Settings` that are values of their own.
_PARTS: dict[str, Callable[..., object]] = {
    "kafka": KafkaSettings,
    "schedule": Schedule,
    "limits": Limits,
}

_DURATIONS = ("quiet", "max-wait", "min-gap", "timeout", "backoff", "max-backoff", "stop-timeout")

_LIMITS: dict[str, Callable[[Tree], object]] = {
    "chunk-bytes": form.size,
    "file-bytes": form.size,
    "chunks-per-file": form.count,
    "tracked-chunks": form.count,
    "open-transfers": form.count,
    "spool-bytes": form.size,
    "free-space-bytes": form.size,
    "remembered": form.count,
    "config-bytes": form.size,
    "config-depth": form.count,
    "expire-after": form.duration,
    "expire-offsets": form.count,
    "expire-idle": form.duration,
    "expire-total": form.duration,
    "unfinished-commits": form.count,
}

#: By dotted path, every key that sets an attribute.
TABLE: dict[str, Key] = {
    "hostname": Key(Settings, "hostname", form.text),
    "kafka.enable": Key(Settings, "enabled", form.flag),
    "kafka.topic": Key(KafkaSettings, "topic", form.text),
    "kafka.server": Key(KafkaSettings, "servers", form.servers),
    "kafka.files-dir": Key(KafkaSettings, "files_dir", form.text),
    "kafka.security-protocol": Key(
        KafkaSettings,
        "security_protocol",
        form.Choice(_words(SecurityProtocol), any_case=True),
    ),
    "kafka.key-file": Key(KafkaSettings, "key_file", form.text),
    "kafka.key-password-file": Key(KafkaSettings, "key_password_file", form.text),
    "kafka.cert-file": Key(KafkaSettings, "cert_file", form.text),
    "kafka.ca-file": Key(KafkaSettings, "ca_file", form.text),
    "kafka.sasl-mechanism": Key(KafkaSettings, "sasl_mechanism", form.text),
    "kafka.sasl-username": Key(KafkaSettings, "sasl_username", form.text),
    "kafka.sasl-password-file": Key(KafkaSettings, "sasl_password_file", form.text),
    "kafka.start": Key(KafkaSettings, "start", form.Choice(_words(Start))),
    "kafka.group": Key(KafkaSettings, "group", form.text),
    "kafka.options": Key(KafkaSettings, "options", form.options),
    "filesync.driver": Key(Settings, "driver", form.text),
    "filesync.daemon": Key(Settings, "daemon", daemon),
    "filesync.routing.by": Key(Settings, "route_by", form.Choice(_words(RouteBy))),
    "filesync.routing.zone-id": Key(Settings, "zone_id", form.text),
    "filesync.files": Key(Settings, "files", files),
    "filesync.file-owner": Key(Settings, "file_owner", form.text),
    "filesync.file-group": Key(Settings, "file_group", form.text),
    "filesync.file-mode": Key(Settings, "file_mode", form.mode),
    "filesync.log-level": Key(
        Settings, "log_level", form.Choice({level: level for level in LOG_LEVELS})
    ),
    **{
        f"filesync.schedule.{name}": Key(Schedule, name.replace("-", "_"), form.duration)
        for name in _DURATIONS
    },
    **{
        f"filesync.limits.{name}": Key(Limits, name.replace("-", "_"), read)
        for name, read in _LIMITS.items()
    },
}

#: Every key that is read, by its dotted path.
KEYS = frozenset({*TABLE, "filesync.daemon.adapter", *(f"filesync.files.{name}" for name in RULE)})
