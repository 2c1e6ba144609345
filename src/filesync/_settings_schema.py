"""
The settings file as a JSON Schema, by which an editor completes, explains and complains.

Theory. Keys, notations, ranges and defaults come from the tables that the
reader and the values go by; only the sentences are written here, and a key
without one is an error. The promise is one-sided: what the schema refuses the
reader refuses, so that an editor never complains about a file that works.

Left out is what a schema cannot say: which of two durations is the longer one,
whether an IPv6 address is whole, and how a value was written. A schema sees
what YAML made of the text, and an editor's YAML is 1.2 where PyYAML's is 1.1:
`0640` is 640 to the one and 416 to the other, so both are let through.

Draft-07, since every version of yaml-language-server knows it, as it knows
`errorMessage` and `patternErrorMessage`, which others pass over.

Source: docs/reference/settings.md, docs/reference/command-daemon.md.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from typing import Any

from attrs import NOTHING, fields_dict

from filesync import _setting_checks as check
from filesync import _setting_forms as form
from filesync import _settings_patterns as like
from filesync import _settings_reader as reader
from filesync._settings import DaemonSettings, FileRule, SecurityProtocol
from filesync._settings_meanings import DEFAULTS, MEANINGS

__all__ = ["settings_schema"]

_Schema = dict[str, Any]


def settings_schema() -> dict[str, Any]:
    """Return the schema, ready for JSON."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "filesync settings",
        "description": "Other top-level keys belong to the daemon whose file this may be.",
        "type": "object",
        "properties": _properties(""),
        "definitions": {"plain": _PLAIN},
    }


def _properties(prefix: str) -> _Schema:
    """Return the keys of a section, in the order of the reader's table."""
    below = (key.removeprefix(prefix) for key in reader.TABLE if key.startswith(prefix))
    names = dict.fromkeys(key.partition(".")[0] for key in below)
    return {name: _property(prefix + name) for name in names}


def _property(path: str) -> _Schema:
    key = reader.TABLE.get(path)
    if key is None:
        rules = _RULES.get(path, {})
        return {
            "description": f"{MEANINGS[path]}.",
            **_section(properties=_properties(f"{path}."), additionalProperties=False, **rules),
        }
    attribute = fields_dict(key.owner)[key.attribute]
    return _described(path, key.read, attribute)


def _described(path: str, read: Callable[..., object], attribute: Any) -> _Schema:
    """Return the schema of one key, with what it means, its unit and its default."""
    # `optional` keeps the validator proper; None is never written.
    written, schema = _shape(read, getattr(attribute.validator, "validator", attribute.validator))
    default = _default(read, attribute.default)
    told = DEFAULTS.get(path, "none") if default is None else _told(default)
    described = {"description": f"{MEANINGS[path]}: {written}; default: {told}.", **schema}
    return described if default is None else {**described, "default": default}


def _shape(read: Callable[..., object], checked: Any) -> tuple[str, _Schema]:
    """Return how a value is written, in words and as a schema."""
    if isinstance(read, form.Choice):
        return _choice(read.words, any_case=read.any_case)
    return _SHAPES[read](checked)


def _section(**keywords: Any) -> _Schema:
    """Return a section; one whose keys are all commented out is null."""
    return {"type": ["object", "null"], **keywords}


# Text


def _pattern(written: str, pattern: str, *types: str, **keywords: Any) -> tuple[str, _Schema]:
    """Return text of a pattern; with *types* it may be a value of these too."""
    return written, {
        "type": [*types, "string"] if types else "string",
        **keywords,
        "pattern": f"^(?:{pattern})$",
        "patternErrorMessage": f"must be {written}",
    }


_TEXTS: dict[Any, tuple[str, str]] = {
    check.text: ("text, not empty", like.TEXT),
    check.path: ("an absolute path", like.PATH),
    check.directory: ("an absolute path below /, without empty, . and .. parts", like.DIRECTORY),
    check.topic: ("1 to 249 of A-Z a-z 0-9 . _ -", like.TOPIC),
    check.hostname: ("printable ASCII without spaces and empty labels", like.HOSTNAME),
    check.pattern: ("a shell pattern relative to files-dir", like.GLOB),
    check.account: ("a name without spaces, : and /", like.ACCOUNT),
}


def _text(checked: Any) -> tuple[str, _Schema]:
    if checked is check.mechanism:
        return _choice(check.SASL_MECHANISMS, any_case=True)
    return _pattern(*_TEXTS[checked])


def _choice(words: Collection[str], *, any_case: bool) -> tuple[str, _Schema]:
    listed = list(words)
    written = f"one of {', '.join(listed)}"
    if not any_case:
        return written, {"type": "string", "enum": listed}
    # The first is for completion.
    return f"{written}, in any case", {
        "type": "string",
        "anyOf": [{"enum": listed}, {"pattern": _any_case(listed)}],
    }


def _any_case(words: Collection[str]) -> str:
    return f"^(?:{like.any_case('|'.join(words))})$"


# Flags and numbers


def _flag(_: object) -> tuple[str, _Schema]:
    return _pattern("true or false", like.FLAG, "boolean")


def _duration(checked: check.Seconds) -> tuple[str, _Schema]:
    return _seconds(like.duration(zero=checked.zero), zero=checked.zero)


def _seconds(pattern: str, *, zero: bool) -> tuple[str, _Schema]:
    least = "from" if zero else "above"
    return _pattern(
        f"seconds, or a duration such as 500ms, 5s, 2m or 1h, {least} 0 to one week",
        pattern,
        "number",
        **{"minimum" if zero else "exclusiveMinimum": 0},
        maximum=int(check.MAX_SECONDS),
    )


def _size(checked: check.Whole) -> tuple[str, _Schema]:
    return _pattern(
        f"bytes, or a size such as 512KiB or 8MiB, {_range(checked)}",
        like.size(checked.low, checked.high),
        "integer",
        minimum=checked.low,
        maximum=min(checked.high, like.LONGEST),
    )


def _count(checked: check.Whole) -> tuple[str, _Schema]:
    return _pattern(
        f"a whole number {_range(checked)}",
        like.count(checked.low, checked.high),
        "integer",
        minimum=checked.low,
        maximum=checked.high,
    )


def _range(checked: check.Whole) -> str:
    """Return the bounds in words; one that nobody reaches is left out."""
    bounded = checked.high <= like.LONGEST
    return f"from {checked.low} to {checked.high}" if bounded else f"from {checked.low}"


def _mode(_: object) -> tuple[str, _Schema]:
    return _pattern(
        "octal permission bits from 0000 to 0777, not writable for everybody",
        like.MODE,
        "integer",
        minimum=0,
        maximum=777,  # What 0777 is to YAML 1.2.
    )


def _servers(_: object) -> tuple[str, _Schema]:
    written = "host, host@port, host:port or [IPv6]:port"
    _, one = _pattern(written, like.SERVER)
    return _pattern(f"{written}, one or a list", like.SERVER, "array", minItems=1, items=one)


# Sections


def _options(_: object) -> tuple[str, _Schema]:
    _, option = _pattern("text, a number, true or false", like.NO_NUL, "number", "boolean")
    secret = {"pattern": like.any_case(check.SENSITIVE.pattern)}
    driver = _section(additionalProperties=option, propertyNames={"not": secret})
    return "a section for each driver", _section(additionalProperties=driver)


def _files(_: object) -> tuple[str, _Schema]:
    attributes = fields_dict(FileRule)
    properties = {
        name: _described(f"filesync.files.{name}", read, attributes[name])
        for name, read in reader.RULE.items()
    }
    rule = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return "a list of rules", {"type": "array", "minItems": 1, "items": rule}


#: What an adapter may be told: anything but null.
_PLAIN: _Schema = {
    "type": ["string", "number", "boolean", "array", "object"],
    "pattern": f"^{like.NO_NUL}$",
    "items": {"$ref": "#/definitions/plain"},
    "additionalProperties": {"$ref": "#/definitions/plain"},
}


def _daemon(_: object) -> tuple[str, _Schema]:
    adapter = fields_dict(DaemonSettings)["adapter"]
    return "a section of the adapter's own", _section(
        properties={"adapter": _described("filesync.daemon.adapter", form.text, adapter)},
        additionalProperties={"$ref": "#/definitions/plain"},
        **{"if": {"properties": {"adapter": {"const": adapter.default}}}, "then": _command()},
    )


def _command() -> _Schema:
    """Return the sections of the adapter ``command``."""
    properties: _Schema = {"adapter": {}}
    _, program = _pattern("a program, without {path} and {name}", like.PROGRAM)
    _, argument = _pattern("text, in braces only path, name and dir", like.ARGUMENT)
    arguments = {"type": "array", "minItems": 1, "items": [program], "additionalItems": argument}
    for name in ("check", "reload", "renew"):
        path = f"filesync.daemon.{name}"
        told = f"{MEANINGS[path]}: a list of texts; default: {DEFAULTS[path]}."
        properties[name] = {"description": told, **arguments}
    written, timeout = _seconds(like.duration(zero=False, long=True), zero=False)
    default = DEFAULTS["filesync.daemon.check-timeout"]
    told = f"{MEANINGS['filesync.daemon.check-timeout']}: {written}; default: {default}."
    properties["check-timeout"] = {"description": told, **timeout, "default": default}
    return {"properties": properties, "additionalProperties": False}


_SHAPES: dict[Callable[..., object], Callable[[Any], tuple[str, _Schema]]] = {
    form.text: _text,
    form.flag: _flag,
    form.duration: _duration,
    form.size: _size,
    form.count: _count,
    form.mode: _mode,
    form.servers: _servers,
    form.options: _options,
    reader.daemon: _daemon,
    reader.files: _files,
}


# Defaults

#: What they read is left out, or an empty section.
_UNWRITTEN = (form.options, reader.daemon, reader.files)


def _default(read: Callable[..., object], value: Any) -> Any:
    """Return a default as one writes it; None: there is none, or no value for it."""
    if read in _UNWRITTEN or value is NOTHING or value is None:
        return None
    if read is form.servers:
        return ", ".join(value)
    if read is form.duration:
        units = [unit for unit in ("s", "m", "h") if value % form.SECONDS[unit] == 0]
        return f"{value / form.SECONDS[units[-1]]:g}{units[-1]}"
    if read is form.size:
        units = [unit for unit in ("B", "KiB", "MiB", "GiB") if value % form.BYTES[unit] == 0]
        return f"{value // form.BYTES[units[-1]]}{units[-1]}"
    if read is form.mode:
        return f"0{value:03o}"
    return value.value if isinstance(value, enum.Enum) else value


def _told(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


# What keys have to do with each other


def _only_with(
    path: str, words: Collection[str], names: Collection[str], *, needed: bool
) -> _Schema:
    """Return the rule that *names* are for *words* of the key *path* only, and *needed* there."""
    rule: _Schema = {
        "if": {"properties": {path: {"pattern": _any_case(words)}}, "required": [path]},
        "else": {
            "properties": dict.fromkeys(names, False),
            "errorMessage": f"has no effect unless {path} is {' or '.join(words)}",
        },
    }
    return {**rule, "then": {"required": list(names)}} if needed else rule


_RULES: dict[str, _Schema] = {
    "kafka": {
        "dependencies": {
            "cert-file": ["key-file"],
            "key-file": ["cert-file"],
            "key-password-file": ["key-file"],
        },
        "allOf": [
            _only_with(
                "security-protocol",
                [each.value for each in SecurityProtocol if each.encrypted],
                ["ca-file", "cert-file", "key-file", "key-password-file"],
                needed=False,
            ),
            _only_with(
                "security-protocol",
                [each.value for each in SecurityProtocol if each.authenticated],
                ["sasl-mechanism", "sasl-username", "sasl-password-file"],
                needed=True,
            ),
        ],
    },
    "filesync.routing": {"allOf": [_only_with("by", ["zone-id"], ["zone-id"], needed=True)]},
}
