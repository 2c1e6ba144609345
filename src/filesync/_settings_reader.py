"""
A settings file's text to `Settings`, every complaint with its line.

Every key is one row of `_KEYS`: which attribute of which value it sets, and
how its text becomes that attribute. The values check themselves; what they
refuse is told at the line of the key that set it.

Source: docs/reference/settings.md.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from attrs import Factory

from filesync._model import Kind
from filesync._setting_checks import (
    LOG_LEVELS,
    SettingValueError,
    option_problem,
    server_address,
)
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
from filesync._wording import one_of, shown
from filesync._yaml import Branch, Items, Leaf, Place, Shape, Tree, parse

__all__ = ["KEYS", "read_settings"]

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

_TOP = ("hostname", "kafka", "filesync")

_NUMBER = r"[0-9]{1,15}"
_DURATION = re.compile(rf"({_NUMBER}(?:\.{_NUMBER})?) ?(ms|s|m|h)?")
_SIZE = re.compile(rf"({_NUMBER}) ?([A-Za-z]+)?")
_WHOLE = r"0|[1-9][0-9]{0,2}(?:_[0-9]{3}){1,5}|[1-9][0-9]{0,18}"
_COUNT = re.compile(_WHOLE)
_SIGNED = re.compile(rf"[-+]?(?:{_WHOLE})")
_MODE = re.compile(r"0o?[0-7]{3,6}")

_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES: dict[str, int] = {
    "B": 1,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", 1)},
}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_settings(text: str, *, source: str, default_hostname: str) -> Settings:
    """Do what `filesync.read_settings` promises."""
    top = parse(text, source=source, wanted=_TOP)
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
    keys = (key.removeprefix(prefix) for key in _KEYS if key.startswith(prefix))
    branch.refuse_unknown({key.partition(".")[0] for key in keys})
    for name, twig in branch.twigs.items():
        key = _KEYS.get(prefix + name)
        if key is None:
            _walk(_section(twig.value), f"{prefix}{name}.", found)
        else:
            found[key.owner].set(key.attribute, key.read(twig.value), twig.place)


def _section(tree: Tree) -> Branch:
    """Return a section; one without keys, all commented out, say, is empty."""
    if isinstance(tree, Leaf) and tree.shape is Shape.NOTHING:
        return Branch(place=tree.place, twigs={})
    if not isinstance(tree, Branch):
        raise tree.place.error("must be a section: keys with values")
    return tree


def _leaf(tree: Tree, allowed: str) -> Leaf:
    if not isinstance(tree, Leaf):
        kind = "a list" if isinstance(tree, Items) else "a section"
        raise tree.place.error(f"must be {allowed}; not {kind}")
    if tree.shape is Shape.NOTHING:
        raise tree.place.error(f"must be {allowed}; for the default leave the key out")
    return tree


def _wrong(leaf: Leaf, allowed: str) -> Exception:
    return leaf.place.error(f"must be {allowed}; not {shown(leaf.text)}")


def _text(tree: Tree) -> str:
    leaf = _leaf(tree, "text")
    if leaf.shape is not Shape.TEXT:
        raise leaf.place.error(f"must be text: write {shown(leaf.text)}, with the quotes")
    return leaf.text


def _flag(tree: Tree) -> bool:
    leaf = _leaf(tree, "true or false")
    if leaf.shape is not Shape.FLAG or leaf.text.lower() not in _TRUTH:
        raise _wrong(leaf, "true or false, without quotes")
    return _TRUTH[leaf.text.lower()]


def _choice(words: Mapping[str, T], tree: Tree, *, fold: Callable[[str], str] = str) -> T:
    leaf = _leaf(tree, f"one of {', '.join(words)}")
    if fold(leaf.text) not in words:
        raise leaf.place.error(one_of(words, leaf.text))
    return words[fold(leaf.text)]


def _duration(tree: Tree) -> float:
    allowed = "a number of seconds, or a duration such as 500ms, 5s, 2m or 1h"
    leaf = _leaf(tree, allowed)
    match = _DURATION.fullmatch(leaf.text)
    if match is None:
        raise _wrong(leaf, allowed)
    return float(match[1]) * _SECONDS[match[2]]


def _size(tree: Tree) -> int:
    allowed = f"a whole number of bytes, or a size such as 512KiB; units: {', '.join(_BYTES)}"
    leaf = _leaf(tree, allowed)
    match = _SIZE.fullmatch(leaf.text)
    if match is None or (match[2] or "B") not in _BYTES:
        raise _wrong(leaf, allowed)
    return int(match[1]) * _BYTES[match[2] or "B"]


def _count(tree: Tree) -> int:
    allowed = "a whole number such as 1000 or 1_000"
    leaf = _leaf(tree, allowed)
    if _COUNT.fullmatch(leaf.text) is None:
        raise _wrong(leaf, allowed)
    return int(leaf.text)


def _mode(tree: Tree) -> int:
    allowed = "permission bits in octal with a leading 0, such as 0640"
    leaf = _leaf(tree, allowed)
    if _MODE.fullmatch(leaf.text) is None:
        raise _wrong(leaf, allowed)
    return int(leaf.text.replace("o", ""), 8)


def _servers(tree: Tree) -> tuple[str, ...]:
    items = tree.items if isinstance(tree, Items) else (tree,)
    return tuple(map(_server, items))


def _server(tree: Tree) -> str:
    leaf = _leaf(tree, "a server such as broker1@9092 or '[2001:db8::1]:9092', or a list of them")
    try:
        return server_address(_text(leaf))
    except ValueError as error:
        raise tree.place.error(str(error)) from error


def _options(tree: Tree) -> dict[str, dict[str, Any]]:
    return {
        driver: {name: _option(name, option.value) for name, option in twigs.items()}
        for driver, twigs in (
            (driver, _section(twig.value).twigs) for driver, twig in _section(tree).twigs.items()
        )
    }


def _option(name: str, tree: Tree) -> object:
    value = _plain(tree)
    problem = option_problem(name, value)
    if problem is not None:
        raise tree.place.error(problem)
    return value


def _plain(tree: Tree) -> Any:
    """Return *tree* as Python values: str, int, float, bool, list, dict."""
    if isinstance(tree, Branch):
        return {name: _plain(twig.value) for name, twig in tree.twigs.items()}
    if isinstance(tree, Items):
        return [_plain(item) for item in tree.items]
    return _scalar(_leaf(tree, "text, a number, true or false"))


def _scalar(leaf: Leaf) -> str | int | float | bool:
    if leaf.shape is Shape.FLAG:
        return _flag(leaf)
    if leaf.shape is Shape.WHOLE:
        if _SIGNED.fullmatch(leaf.text) is None:
            raise _wrong(leaf, "a decimal number, or in quotes")
        return int(leaf.text)
    if leaf.shape is Shape.REAL:
        try:
            number = float(leaf.text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise _wrong(leaf, "a finite decimal number, or in quotes")
        return number
    return leaf.text


def _daemon(tree: Tree) -> DaemonSettings:
    section = _section(tree)
    fields = _Fields(place=section.place)
    rest = {name: twig for name, twig in section.twigs.items() if name != "adapter"}
    fields.values["options"] = {name: _plain(twig.value) for name, twig in rest.items()}
    if "adapter" in section.twigs:
        twig = section.twigs["adapter"]
        fields.set("adapter", _text(twig.value), twig.place)
    return fields.build(DaemonSettings)


def _files(tree: Tree) -> tuple[FileRule, ...]:
    if not isinstance(tree, Items):
        raise tree.place.error('must be a list such as [{match: "*.rpz", kind: data}]')
    return tuple(map(_rule, tree.items))


def _rule(tree: Tree) -> FileRule:
    section = _section(tree)
    section.refuse_unknown(_RULE)
    fields = _Fields(place=section.place)
    for name, read in _RULE.items():
        if name not in section.twigs:
            raise section.place.error(f"a rule needs match and kind: {name} is missing")
        twig = section.twigs[name]
        fields.set(name, read(twig.value), twig.place)
    return fields.build(FileRule)


def _words(kind: type[E]) -> dict[str, E]:
    return {member.value: member for member in kind}


_RULE: dict[str, Callable[[Tree], object]] = {
    "match": _text,
    "kind": partial(_choice, _words(Kind)),
}


@frozen
class _Key:
    """What a key sets: *attribute* of an *owner*; *read* makes its value."""

    owner: Callable[..., object]
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
    "chunk-bytes": _size,
    "file-bytes": _size,
    "chunks-per-file": _count,
    "tracked-chunks": _count,
    "open-transfers": _count,
    "spool-bytes": _size,
    "free-space-bytes": _size,
    "remembered": _count,
    "config-bytes": _size,
    "config-depth": _count,
    "expire-after": _duration,
    "expire-offsets": _count,
    "expire-idle": _duration,
    "expire-total": _duration,
    "unfinished-commits": _count,
}

_KEYS: dict[str, _Key] = {
    "hostname": _Key(Settings, "hostname", _text),
    "kafka.enable": _Key(Settings, "enabled", _flag),
    "kafka.topic": _Key(KafkaSettings, "topic", _text),
    "kafka.server": _Key(KafkaSettings, "servers", _servers),
    "kafka.files-dir": _Key(KafkaSettings, "files_dir", _text),
    "kafka.security-protocol": _Key(
        KafkaSettings,
        "security_protocol",
        partial(_choice, _words(SecurityProtocol), fold=str.lower),
    ),
    "kafka.key-file": _Key(KafkaSettings, "key_file", _text),
    "kafka.key-password-file": _Key(KafkaSettings, "key_password_file", _text),
    "kafka.cert-file": _Key(KafkaSettings, "cert_file", _text),
    "kafka.ca-file": _Key(KafkaSettings, "ca_file", _text),
    "kafka.sasl-mechanism": _Key(KafkaSettings, "sasl_mechanism", _text),
    "kafka.sasl-username": _Key(KafkaSettings, "sasl_username", _text),
    "kafka.sasl-password-file": _Key(KafkaSettings, "sasl_password_file", _text),
    "kafka.start": _Key(KafkaSettings, "start", partial(_choice, _words(Start))),
    "kafka.group": _Key(KafkaSettings, "group", _text),
    "kafka.options": _Key(KafkaSettings, "options", _options),
    "filesync.driver": _Key(Settings, "driver", _text),
    "filesync.daemon": _Key(Settings, "daemon", _daemon),
    "filesync.routing.by": _Key(Settings, "route_by", partial(_choice, _words(RouteBy))),
    "filesync.routing.zone-id": _Key(Settings, "zone_id", _text),
    "filesync.files": _Key(Settings, "files", _files),
    "filesync.file-owner": _Key(Settings, "file_owner", _text),
    "filesync.file-group": _Key(Settings, "file_group", _text),
    "filesync.file-mode": _Key(Settings, "file_mode", _mode),
    "filesync.log-level": _Key(
        Settings, "log_level", partial(_choice, {level: level for level in LOG_LEVELS})
    ),
    **{
        f"filesync.schedule.{name}": _Key(Schedule, name.replace("-", "_"), _duration)
        for name in _DURATIONS
    },
    **{
        f"filesync.limits.{name}": _Key(Limits, name.replace("-", "_"), read)
        for name, read in _LIMITS.items()
    },
}

#: Every key that is read, by its dotted path.
KEYS = frozenset({*_KEYS, "filesync.daemon.adapter", *(f"filesync.files.{name}" for name in _RULE)})
