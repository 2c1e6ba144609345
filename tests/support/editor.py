"""A settings file as an editor with the schema sees it, and as filesync does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from attrs import frozen
from jsonschema import Draft7Validator, ValidationError
from jsonschema.validators import extend

from filesync import read_settings
from filesync._settings_schema import settings_schema
from filesync.exceptions import SettingsError
from filesync.runtime._command import open_command_daemon

# What an editor sees

SCHEMA = settings_schema()


def _pattern(
    validator: Any, pattern: str, instance: object, _: object
) -> Iterator[ValidationError]:
    """Search as ECMAScript does: `$` is the end of the text, not the end of its last line."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern}")


VALIDATOR = extend(Draft7Validator, {"pattern": _pattern})(SCHEMA)  # type: ignore[no-untyped-call]


class Yaml11(yaml.SafeLoader):
    """YAML 1.1 as PyYAML has it; tags that it does not know are passed over."""


class Yaml12(yaml.SafeLoader):
    """YAML 1.2, which many editors speak: fewer booleans, and another octal."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it.


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[str, Any]:
    """Return a mapping as JSON has it, where every key is text."""
    loader.flatten_mapping(node)
    return {str(key.value): loader.construct_object(value, deep=True) for key, value in node.value}


def _foreign(loader: Any, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node)
    return node.value if isinstance(node, yaml.ScalarNode) else []


def _int12(loader: Any, node: yaml.ScalarNode) -> int:
    return int(node.value, 0 if node.value[:2] in {"0o", "0x"} else 10)


for _loader in (Yaml11, Yaml12):
    _loader.add_multi_constructor("!", _foreign)
    _loader.add_constructor("tag:yaml.org,2002:map", _mapping)
for _tag, _word, _first in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
]:
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_word})$"), _first)
Yaml12.add_constructor("tag:yaml.org,2002:int", _int12)


def violations(text: str, loader: type[yaml.SafeLoader] = Yaml11) -> list[str]:
    """Return what an editor complains about in *text*."""
    try:
        value = yaml.load(text, loader)
    except (yaml.YAMLError, ValueError, KeyError, OverflowError) as error:
        return [f"not YAML: {error}"]
    return [error.message for error in VALIDATOR.iter_errors(value)]


# What filesync says


def refusal(text: str) -> str | None:
    """Return why *text* is refused, by the reader or by the adapter `command`; None: it is not."""
    try:
        settings = read_settings(text, source="f.yaml", default_hostname="here")
        if settings.daemon.adapter == "command":
            open_command_daemon(settings.daemon.options, files_dir="/files")
    except (SettingsError, ValueError) as error:
        return str(error)
    return None


@frozen
class Unsaid:
    """What a schema cannot say: the complaint of the reader, and how the text looks then."""

    text: str
    complaint: str
    look: str = ""

    def explains(self, text: str, complaint: str) -> bool:
        """Whether this is why the schema takes *text*."""
        return bool(re.search(self.complaint, complaint) and re.search(self.look, text))


OTHER_NUMBERS = (
    r"(?<![\w'\".])(?:[-+]?0[xb][0-9a-f_]+|[-+]?0[0-9_]+|[+-]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?"
    r"|[+-][0-9_.]+|[0-9]+_[0-9_.]+|[0-9]*\.0*|[0-9_.]+e[-+][0-9]+|[0-9]*\.[0-9]{16,}|\.[0-9]+"
    r"|[-+]?\.(?:nan|inf))(?![\w'\"])"
)

UNSAID = {
    "which of two durations is the longer one": [
        Unsaid("filesync: {schedule: {quiet: 31s}}", "must be at least quiet"),
        Unsaid("filesync: {schedule: {max-backoff: 1s}}", "must be at least backoff"),
    ],
    "whether an IPv6 address is whole": [
        Unsaid(
            "kafka: {server: '[1::2::3]'}",
            "must be host, ",
            r"\[?[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?(?:\]|@)",
        )
    ],
    "how a number is written": [
        Unsaid(
            f"filesync: {{limits: {{remembered: {number}}}}}",
            "must be a (?:finite )?(?:whole|decimal|number)",
            OTHER_NUMBERS,
        )
        for number in ["0x10", "010", "+1", "1:30", "1.0", "10_00"]
    ],
    "whether text without quotes is a number to YAML 1.2": [
        Unsaid(
            text,
            r"must be text: write|is text to one YAML|a key must be text",
            r"(?<![\w'\".])(?:0o[0-7]+|[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)(?![\w'\"])",
        )
        for text in [
            "filesync: {routing: {by: zone-id, zone-id: 0815}}",
            "hostname: 089",
            "hostname: 12e3",
            "kafka: {topic: 1e3}",
            "kafka: {topic: 0o17}",
            "kafka: {options: {kafka-python: {a: 1e3}}}",
            "filesync: {daemon: {check: [test, 1e3]}}",
        ]
    ],
    "how an unquoted mode is written": [
        Unsaid("filesync: {file-mode: 640}", "must be permission bits", r"file-mode: [0-9]"),
        Unsaid("filesync: {file-mode: 0666}", "let everybody write", r"file-mode: [0-9]"),
    ],
    "whether yes and no are in quotes": [
        Unsaid("kafka: {enable: 'yes'}", "without quotes", r"(?i)['\"](?:yes|no|on|off)['\"]")
    ],
    "where a duration is above a week by less than a millionth": [
        Unsaid(
            "filesync: {schedule: {timeout: 168.00000001h}}",
            "at most 604800 seconds",
            r"(?:168|10080|604800|604800000)\.0{7}",
        )
    ],
    "whether a key is text": [Unsaid("kafka: {options: {1: {}}}", "a key must be text")],
    "whether a key is given twice": [Unsaid("kafka: {}\nkafka: {}", "is given twice")],
    "where an alias or a merge key was": [
        Unsaid("a: &a {}\nkafka: *a", "the alias '.*' is not allowed"),
        Unsaid("a: &a {}\nkafka: {<<: *a}", "aliases and merge keys are not allowed"),
    ],
    "which tag a value has": [
        Unsaid("kafka: {topic: !x a}", "YAML takes this for '"),
        Unsaid("kafka: {enable: !!bool 'yes'}\nfilesync: !x {}", "YAML takes this for '"),
    ],
    "whether text is Unicode": [Unsaid('kafka: {group: "\\ud800"}', "half a surrogate pair")],
    "how long and how deep a document is": [
        Unsaid("kafka: {}\n" + "#" * 2**20, "characters are too many"),
        Unsaid(f"a: {'[' * 50}{']' * 50}", "nested too deep"),
    ],
}


def unsaid(text: str, complaint: str) -> bool:
    """Whether a schema cannot say what is wrong with *text*."""
    return any(each.explains(text, complaint) for several in UNSAID.values() for each in several)


def agree(text: str) -> None:
    """Fail if one takes what the other refuses, but for what a schema cannot say."""
    complaint, found = refusal(text), violations(text)
    if complaint is None:
        assert not found, found
        assert not violations(text, Yaml12)
    elif not found:
        assert unsaid(text, complaint), complaint
