"""The schema of the settings file says what the reader says, as far as a schema can."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from filesync._settings_meanings import DEFAULTS, MEANINGS
from filesync._settings_reader import KEYS
from filesync.runtime import _command
from filesync.runtime._command import open_command_daemon
from support.editor import SCHEMA, UNSAID, Unsaid, Yaml11, Yaml12, agree, refusal, violations
from support.settings_examples import EMPTY, EXAMPLE, FENCE, FOREIGN, MEANT, document, read, rows
from support.settings_refused import REFUSED

ROOT = Path(__file__).parents[2]

#: With those of the adapter `command`, which judges them itself.
COMMAND = frozenset(f"filesync.daemon.{option}" for option in _command._OPTIONS)


# The schema, and where it is


def properties(schema: dict[str, Any] = SCHEMA, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every property that has a description, by its dotted path."""
    inside = {**schema.get("then", {}).get("properties", {}), **schema.get("properties", {})}
    items = schema.get("items")
    inside |= items.get("properties", {}) if isinstance(items, dict) else {}
    for name, each in inside.items():
        if "description" in each:
            yield f"{prefix}{name}", each
            yield from properties(each, f"{prefix}{name}.")


def words(schema: Any) -> Iterator[str]:
    """Yield every pattern."""
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "pattern" and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from words(value)


def test_the_schema_is_of_draft_07() -> None:
    """It says so, and it is what it says."""
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(SCHEMA)


def test_the_schema_is_one_text_at_both_doors(capsys: pytest.CaptureFixture[str]) -> None:
    """What the command prints is what the docs have."""
    from filesync.__main__ import main  # noqa: PLC0415 - the core's tests need no command line.

    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == SCHEMA
    page = ROOT / "docs" / "reference" / "settings.schema.json"
    assert page.read_text("utf-8") == printed, f"run: filesync schema >{page.relative_to(ROOT)}"


def test_patterns_are_the_same_to_every_editor() -> None:
    """They are anchored or look for a secret, and have no escape that only some know."""
    patterns = list(words(SCHEMA))
    assert len(patterns) > len(KEYS) / 2
    for pattern in patterns:
        assert pattern.isascii()
        assert re.fullmatch(r"\^.*\$", pattern) or "[Ss][Ee][Cc][Rr][Ee][Tt]" in pattern
        assert set(re.findall(r"\\(.)", pattern)) <= set(".[]{}u")


def test_every_key_is_described_in_a_sentence() -> None:
    """Keys, and no others; each with its unit and its default."""
    described = {path: each["description"] for path, each in properties()}
    sections = {path for path, each in properties() if each.get("additionalProperties") is False}
    assert set(described) - sections == KEYS | COMMAND
    assert set(described) == set(MEANINGS)
    for path, told in described.items():
        assert re.fullmatch(r"[A-Z].*[^.]\.", told), told
        assert ("; default: " in told) == (path not in sections), told
    assert set(described) >= set(DEFAULTS)


def test_defaults_are_those_of_the_settings() -> None:
    """A default that is written out changes nothing; what has none there has none here."""
    written = {path: each["default"] for path, each in properties() if "default" in each}
    for path, default in written.items():
        if path not in COMMAND:
            text = document(path, json.dumps(default))
            assert read(text) == read("kafka:"), path
            assert violations(text) == []
    told = {path for path, default in rows() if default.startswith("`")}
    empty = {"kafka.options", "filesync.daemon"}
    assert set(written) == told - empty | {"filesync.daemon.check-timeout"}


def test_the_adapter_command_has_its_own_options_and_defaults() -> None:
    """As its code has them; the options of another adapter are its own matter."""
    daemon = SCHEMA["properties"]["filesync"]["properties"]["daemon"]
    assert set(daemon["then"]["properties"]) == {"adapter", *_command._OPTIONS}
    timeout = daemon["then"]["properties"]["check-timeout"]["default"]
    left_out, written = (
        open_command_daemon(options, files_dir="/files")._check_timeout
        for options in ({}, {"check-timeout": timeout})
    )
    assert left_out == written
    other = "filesync: {daemon: {adapter: knot, check: {a: [1, true, {b: x}]}}}"
    assert (refusal(other), violations(other)) == (None, [])


# Examples


def _fences() -> Iterator[str]:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        yield from FENCE.findall(page.read_text("utf-8"))


VALID = [
    *_fences(),
    *EMPTY,
    *(f"{foreign}\nkafka: {{topic: mine}}\n" for foreign in FOREIGN),
    *(
        document(key, value)
        for key, value, *_ in MEANT
        if (key, value[:2]) != ("filesync.daemon", "{a")  # The adapter `command` refuses it.
    ),
    *(document(path, default[1:-1]) for path, default in rows() if default.startswith("`")),
    "kafka: {security-protocol: SSL, key-file: /k, key-password-file: /p, cert-file: /c}",
    EXAMPLE.replace("sasl_ssl", "SASL_Ssl").replace("SCRAM-SHA-512", "plain"),
    "filesync: {daemon: {check: [a, '{path}', '{\"a\": {}}'], check-timeout: 007.5 s}}",
    "filesync: {daemon: {reload: ['{dir}/a'], renew: [a, '', '{name}{dir}'], check-timeout: 5}}",
]


@pytest.mark.parametrize("loader", [Yaml11, Yaml12])
@pytest.mark.parametrize("text", VALID)
def test_an_editor_does_not_complain_about_what_works(
    text: str, loader: type[yaml.SafeLoader]
) -> None:
    """Nor does one whose YAML is 1.2."""
    assert (refusal(text), violations(text, loader)) == (None, [])


@pytest.mark.parametrize("text", [row[0] for row in REFUSED])
def test_an_editor_complains_about_what_is_refused(text: str) -> None:
    """But for what a schema cannot say."""
    assert refusal(text) is not None
    agree(text)


@pytest.mark.parametrize(
    "text",
    [
        "filesync: {daemon: {chekc: [a]}}",
        "filesync: {daemon: {check: a}}",
        "filesync: {daemon: {check: []}}",
        "filesync: {daemon: {check: [1]}}",
        "filesync: {daemon: {check: [a, 1]}}",
        "filesync: {daemon: {check: ['']}}",
        "filesync: {daemon: {check: ['{path}']}}",
        "filesync: {daemon: {check: [a, '{file}']}}",
        "filesync: {daemon: {check-timeout: 0}}",
        "filesync: {daemon: {check-timeout: 169h}}",
        "filesync: {daemon: {adapter: command, x: 1}}",
        "filesync: {daemon: {adapter: knot, x: ~}}",
        "kafka: {security-protocol: ssl, cert-file: /c}",
        "kafka: {security-protocol: sasl_ssl}",
        "kafka: {ca-file: /c}",
        "filesync: {file-mode: '0666'}",
        "filesync: {file-mode: '640'}",
        "filesync: {limits: {chunk-bytes: 0}}",
        "filesync: {limits: {chunk-bytes: 536870913}}",
        "filesync: {limits: {chunk-bytes: 524289KiB}}",
        "filesync: {limits: {chunk-bytes: 1GiB}}",
        "filesync: {limits: {file-bytes: 8388608TiB}}",
        "filesync: {limits: {config-depth: '201'}}",
        "filesync: {limits: {config-depth: 1_000}}",
        "filesync: {limits: {remembered: '9223372036854775808'}}",
        "filesync: {schedule: {timeout: 604801}}",
        "filesync: {schedule: {timeout: 604800001ms}}",
        "filesync: {schedule: {timeout: 10080.5m}}",
        "filesync: {schedule: {timeout: 0.0s}}",
        "kafka: {server: 'a:65536'}",
        "kafka: {server: 256.1.1.1}",
        "kafka: {server: [a, b/c]}",
    ],
)
def test_what_only_the_schema_could_miss_is_refused_by_both(text: str) -> None:
    """The edges of ranges, and what goes with what."""
    assert refusal(text) is not None
    assert violations(text)


@pytest.mark.parametrize(
    "case",
    [pytest.param(each, id=name) for name, several in UNSAID.items() for each in several],
)
def test_what_a_schema_cannot_say(case: Unsaid) -> None:
    """Each exception is one: the schema takes it, and the reader does not."""
    complaint = refusal(case.text)
    assert complaint is not None
    assert case.explains(case.text, complaint)
    assert violations(case.text) == []


@pytest.mark.parametrize(
    "text",
    [
        each.text
        for each in UNSAID["whether text without quotes is a number to YAML 1.2"]
        if "options" not in each.text
    ],
)
def test_what_is_a_number_to_an_editor_needs_quotes(text: str) -> None:
    """An editor whose YAML is 1.2 complains about nothing that works."""
    assert violations(text, Yaml12)
    assert refusal(text) is not None


SASL = {
    "security-protocol": "sasl_ssl",
    "sasl-mechanism": "plain",
    "sasl-username": "me",
    "sasl-password-file": "/p",
}

#: The last that is taken and the first that is not, and what is easily mixed up.
EDGES = [
    ("kafka.topic", "a" * 249, "a" * 250),
    ("kafka.files-dir", "/a///", "///"),
    ("kafka", {**SASL, "sasl-mechanism": "pLain"}, {**SASL, "sasl-mechanism": "pla\u0131n"}),
    ("kafka", {**SASL, "ca-file": "/c"}, {"security-protocol": "plaintext", "ca-file": "/c"}),
    ("kafka", {"security-protocol": "ssl"}, {**SASL, "security-protocol": "ssl"}),
    ("kafka.server", "a:65535", "a:65536"),
    ("kafka.server", "a" * 63, "a" * 64),
    ("kafka.server", ".".join(["a" * 62] * 4) + ".b", ".".join(["a" * 62] * 4) + ".bc"),
    ("kafka.server", "[::1]", "[0]:1"),
    ("kafka.server", "1.2.3.4", "1.2.3.04"),
    ("kafka.options", {"d": {"a": "b"}}, {"d": {"a": "\0"}}),
    ("filesync.daemon", {"adapter": "x", "a": "b"}, {"adapter": "x", "a": "\0"}),
    ("filesync.daemon", {"check": ["a", "{1}"]}, {"check": ["a", "{F_2-x}"]}),
    ("filesync.daemon.check-timeout", "0000000000000000005s", "0000000000000000000s"),
    ("filesync.schedule.timeout", "000000000000005s", "0000000000000005s"),
    ("filesync.schedule.timeout", "5.000000000000000", "5.0000000000000000"),
    ("filesync.schedule.timeout", "604800000.0ms", "604800000.1ms"),
    ("filesync.schedule.timeout", 604800.0, 604800.1),
    ("filesync.limits.chunk-bytes", "512MiB", "513MiB"),
    ("filesync.limits.file-bytes", 999_999_999_999_999, 1_000_000_000_000_000),
    ("filesync.limits.file-bytes", "999999999999999", "1000000000000000"),
    ("filesync.limits.file-bytes", "1KiB", "0KiB"),
    ("filesync.limits.remembered", "10", "010"),
    ("filesync.limits.remembered", str(2**63 - 1), str(2**63)),
    ("filesync.limits.remembered", "1" + "_000" * 5, "1" + "_000" * 6),
    ("filesync.limits.config-depth", 200, 201),
    ("filesync.limits.config-depth", "200", "1_000"),
]


@pytest.mark.parametrize(("key", "taken", "refused"), EDGES)
def test_the_edges_are_where_they_are(key: str, taken: object, refused: object) -> None:
    """Both take the one and refuse the other."""
    good, bad = (
        document(key, yaml.dump(value, default_flow_style=True, width=math.inf).split("\n")[0])
        for value in (taken, refused)
    )
    assert (refusal(good), violations(good)) == (None, [])
    assert refusal(bad) is not None
    assert violations(bad)


# Damaged examples

JUNK: st.SearchStrategy[object] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "x", "\n", [], {}, ["a"], [[]], {"a": 1}]
)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container in *tree*, with each of its keys."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _put(container: Any, key: Any, junk: object) -> None:
    container[key] = junk


def _drop(container: Any, key: Any, _: object) -> None:
    del container[key]


def _misspell(container: Any, key: Any, _: object) -> None:
    if isinstance(container, dict):
        container[f"{key[:-1]}"] = container.pop(key)
    elif isinstance(container[key], str):
        container[key] += "x"


def _add(container: Any, _: Any, junk: object) -> None:
    if isinstance(container, dict):
        container["more"] = junk
    else:
        container.append(junk)


@given(
    st.sampled_from([EXAMPLE, *VALID]).filter(lambda text: "!" not in text),
    st.data(),
    st.sampled_from([_put, _drop, _misspell, _add]),
    JUNK,
)
def test_a_damaged_example_is_judged_alike(
    text: str, data: st.DataObject, damage: Callable[..., None], junk: object
) -> None:
    """A value of another type, a key that is missing, misspelt or too much."""
    tree = {
        key: value
        for key, value in yaml.load(text, Yaml11).items()
        if key in {"hostname", "kafka", "filesync"} and value is not None
    }
    places = list(_places(tree))
    if places:
        damage(*data.draw(st.sampled_from(places)), junk)
    agree(yaml.safe_dump(tree))
