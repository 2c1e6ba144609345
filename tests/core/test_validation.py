"""What may be the content of a configuration file, and what is said about what may not."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from filesync import _validation
from filesync._validation import check_configuration
from filesync.exceptions import InvalidConfigurationError

#: What Knot Resolver 6 reads, in the ways people write it.
KNOT_RESOLVER = b"""\
# Knot Resolver 6
rundir: /run/knot-resolver
workers: auto
network:
  listen:
    - interface: [127.0.0.1, '::1']
      port: 53
    - {interface: eth0@5353, kind: dot}
logging: {level: notice, groups: [rules]}
local-data:
  rpz: &lists
    - file: "block.rpz"
      tags: []
  records: |
    a.example. 3600 IN A 192.0.2.1
views:
  - subnets: ["0.0.0.0/0", "::/0"]
    tags: [none]
    answer:
lua: {script: ''}
again: *lists
"""

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_FINITE = _SCALARS.filter(lambda value: value not in (float("inf"), float("-inf")))
_JSON = st.recursive(
    _FINITE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)

#: Pieces that meet each other in YAML and JSON texts, and in broken ones.
_PIECES = (
    *"{}[],:?-!&*|>%@`\"'\\#~ab1",
    *("<<", "-1.5e3", "null", "true", "NaN"),
    *(" ", "\n", "\n  ", "\t", "\r\n", ": ", "- ", "? ", '"a"', '"\\u0061"', "&a ", "*a", "!!str "),
    *("!x!y ", "---\n", "...\n", "%YAML 1.1\n", "%TAG !x! y\n", "%YAML 1." + "9" * 5000 + "\n"),
    *('"\\UFFFFFFFF"', "!%ED%A0%80 ", "\x85", "\u2028", "\ufeff", "\U0001f600", "\0", "|9\n"),
)


@pytest.fixture(name="parser", params=["libyaml", "pure Python"])
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read YAML with the parser that has the name."""
    pure = request.param == "pure Python"
    if not pure and not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    loader = yaml.BaseLoader if pure else yaml.CBaseLoader
    monkeypatch.setattr(_validation, "_YAML_LOADER", loader)


def check(name: str, data: bytes | str, *, max_bytes: int = 1 << 24, max_depth: int = 100) -> None:
    """Check *data*, with limits that only tests of limits reach."""
    encoded = data.encode() if isinstance(data, str) else data
    check_configuration(name, encoded, max_bytes=max_bytes, max_depth=max_depth)


def refusal(name: str, data: bytes | str, **limits: int) -> str:
    """Return why *data* is refused."""
    with pytest.raises(InvalidConfigurationError) as caught:
        check(name, data, **limits)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.rpz", "a.conf", "json", "a.json.txt", "yaml/a", "a"])
def test_other_suffixes_pass_unread(name: str) -> None:
    """A file that promises neither JSON nor YAML may hold anything, of any size."""
    check(name, b"\xff{", max_bytes=1)


@pytest.mark.parametrize("name", ["a.json", "A.JSON", "b/a.yaml", "a.YaML", "a.yml", ".yml"])
def test_case_of_the_suffix_does_not_count(name: str) -> None:
    """Every way to write the suffix promises the same content."""
    check(name, "{}")
    assert refusal(name, "{").startswith(f"{name}, line ")


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_too_large_a_file_is_refused(name: str) -> None:
    """A file of the largest size passes, one byte more is refused."""
    check(name, "[1, 2]", max_bytes=6)
    assert refusal(name, "[1, 2]", max_bytes=5) == (
        f"{name}: 6 bytes; a configuration file may have 5"
    )


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize(
    "data", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", '"é"'.encode("utf-16")]
)
def test_only_utf_8_is_accepted(name: str, data: bytes) -> None:
    """Bytes that are not UTF-8 are refused, and their place is counted in characters."""
    assert "line 2, column 5: byte 0x" in refusal(name, b"[1,\n 'y\xc3\xa9" + data)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "0",
        "-1.5E+3",
        '""',
        " [ ] ",
        "\t{\r\n}\n",
        '{"a": [1, {"b": []}, [[]], {}], "c": true}',
        '{"a": {"a": 1}, "b": {"a": 1}}',
        r'"\ud83d\ude00 \ud800 \/ \u0000"',
        "9" * 1000,
    ],
)
def test_json_passes(text: str) -> None:
    """What RFC 8259 calls JSON is accepted, under each name: YAML holds JSON."""
    check("a.json", text)
    check("a.yaml", text)


@given(_JSON, st.sampled_from([None, 2]), st.booleans())
def test_what_json_dumps_writes_passes(value: Any, indent: int | None, ascii_only: bool) -> None:
    """Every JSON document is accepted, however it is laid out."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    check("a.json", text)
    check("a.yaml", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: the file is empty"),
        (" \n\n ", "line 3, column 2: the file is empty"),
        ("\ufeff{}", "line 1, column 1: a byte order mark is not JSON"),
        ("{} {}", "line 1, column 4: something follows the end of the document"),
        ("1 2", "line 1, column 3: something follows the end of the document"),
        ("[1]\n]", "line 2, column 1: something follows the end of the document"),
        ("[1 2]", "line 1, column 4: expected ',' or ']'"),
        ('{"a": 1\n "b": 2}', "line 2, column 2: expected ',' or '}'"),
        ("[}", "line 1, column 2: expected ',' or ']'"),
        ("[1}", "line 1, column 3: expected ',' or ']'"),
        ('{"a":1]', "line 1, column 7: expected ',' or '}'"),
        ("{]", "line 1, column 2: expected ',' or '}'"),
        ("[1,]", "line 1, column 4: expecting value"),
        ("[,1]", "line 1, column 2: expecting value"),
        ('{"a": 1,}', "line 1, column 9: expected a key in double quotes"),
        ("{a: 1}", "line 1, column 2: expected a key in double quotes"),
        ('{"a" 1}', "line 1, column 6: expected ':'"),
        ('{"a":}', "line 1, column 6: expecting value"),
        ('{"a"', "line 1, column 5: expected ':'"),
        ("[", "line 1, column 2: expecting value"),
        ("[1", "line 1, column 3: expected ',' or ']'"),
        ("'a'", "line 1, column 1: expecting value"),
        ('"a', "line 1, column 1: unterminated string"),
        ('"\n"', "line 1, column 2: invalid control character"),
        (r'"\x"', "line 1, column 2: invalid \\escape"),
        (r'["\u12"]', "line 1, column 4: invalid \\uXXXX escape"),
        ("01", "line 1, column 2: something follows the end of the document"),
        ("+1", "line 1, column 1: expecting value"),
        ("[NaN]", "line 1, column 2: NaN is not JSON"),
        ("[-Infinity]", "line 1, column 2: -Infinity is not JSON"),
        ("Infinity", "line 1, column 1: Infinity is not JSON"),
        ("[\n 1" + "0" * 1000 + "]", "line 2, column 2: a number of 1001 characters; at most"),
        ("[1." + "0" * 999 + "]", "line 1, column 2: a number of 1001 characters; at most"),
        ("// a\n{}", "line 1, column 1: expecting value"),
    ],
)
def test_what_is_not_json_is_refused(text: str, said: str) -> None:
    """The message says what is wrong, and where."""
    assert refusal("a.json", text).startswith(f"a.json, {said}")


@given(st.text())
@example("[" * 5)
def test_json_is_refused_exactly_when_python_refuses_it(text: str) -> None:
    """Nothing is accepted that ``json.loads`` does not read, and nothing refused that it does."""
    try:
        json.loads(text, parse_constant=lambda word: json.loads(f"not {word}"))
    except json.JSONDecodeError:
        refusal("a.json", text)
    else:
        check("a.json", text)


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize(
    ("text", "place", "key"),
    [
        ('{"a": 1,\n "a": 2}', "line 2, column 2", "a"),
        ('{"b": [{"é": 1, "é": 2}]}', "line 1, column 17", "\\xe9"),
        ('{"a": 1, "b": {"a": 2}, "\\u0061": 3}', "line 1, column 25", "a"),
        ('{"": 1, "": 1}', "line 1, column 9", ""),
    ],
)
def test_a_key_that_is_given_twice_is_refused(name: str, text: str, place: str, key: str) -> None:
    """Equal keys of one mapping are refused, however they are written."""
    assert refusal(name, text) == f"{name}, {place}: key '{key}' is already in line 1"


@given(st.dictionaries(st.text(), st.integers(), min_size=1), st.data())
def test_duplicates_are_found_anywhere(mapping: dict[str, int], data: st.DataObject) -> None:
    """One more entry with a key that is there already is refused."""
    entries = [f"{json.dumps(key)}: {value}" for key, value in mapping.items()]
    again = json.dumps(data.draw(st.sampled_from(sorted(mapping))))
    entries.insert(data.draw(st.integers(0, len(entries))), f"{again}: 0")
    text = "[{" + ", ".join(entries) + "}]"
    assert "is already in line" in refusal("a.json", text)
    json.loads(text)


@pytest.mark.usefixtures("parser")
def test_a_long_key_does_not_make_a_long_message() -> None:
    """A message shows the beginning of what is too long for it."""
    key = "k" * 100_000
    for name in ("a.json", "a.yaml"):
        assert len(refusal(name, f'{{"{key}": 1, "{key}": 2}}')) < 200
    assert len(refusal("a.yaml", f"*{key}")) < 200
    assert len(refusal("a.yaml", f"!{key}!a b")) < 300


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_depth_is_bounded(name: str) -> None:
    """The deepest that is allowed passes, one level more is refused where it opens."""
    check(name, "[" * 7 + "]" * 7, max_depth=7)
    check(name, '{"a":' * 7 + "1" + "}" * 7, max_depth=7)
    said = refusal(name, "[\n" * 8 + "]" * 8, max_depth=7)
    assert said == f"{name}, line 8, column 1: nested more than 7 deep"
    assert "nested more than 7 deep" in refusal(name, '{"a":' * 8 + "1" + "}" * 8, max_depth=7)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize("opening", ["[", "[{", '{"a":', "- ", "? ", "{a: "])
def test_deep_nesting_is_refused_quickly(name: str, opening: str) -> None:
    """What would overflow a stack is refused after its first hundred levels."""
    started = time.process_time()
    refusal(name, opening * 200_000)
    assert time.process_time() - started < 10


def test_json_may_be_as_deep_as_the_limit_says() -> None:
    """Depth is a matter of the limit, not of Python's stack."""
    check("a.json", "[" * 100_000 + "]" * 100_000, max_depth=100_000)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "text",
    [
        KNOT_RESOLVER,
        b"\xef\xbb\xbfa: 1\n",
        "a: é 😀\n",
        "%YAML 1.1\n---\na: 1\n...\n",
        "%TAG !x! tag:x,2026:\n---\n!x!y {}",
        "a\n",
        "''\n",
        "!!str\n",
        "null\n",
        "a: {a: {a: 1}}\nb: [a, a, {a: 1}, {a: 2}]\n",
        "1: a\n'1': b\n1.0: c\n!!str 1.0: d\ntrue: e\n'true': f\n",
        "? [a]\n: 1\n? [a]\n: 2\n",
        "? {a: 1}\n: b\n? c\n",
        "a: &a [1]\nb: *a\nc: {<<: &m {d: 1}, e: *m}\n",
        "&a a: &a b\n*a : c\n",
        "- &a 1\n- &a 2\n- *a\n",
        "a: |\n  %TAG\n" + "  %TAG\n" * 200,
    ],
)
def test_yaml_passes(text: bytes | str) -> None:
    """What daemons read is accepted."""
    check("a.yaml", text)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", (1, 1), "the file is empty"),
        ("# a\n", (2, 1), "the file is empty"),
        ("---\n", (2, 1), "the file is empty"),
        ("--- # a\n...\n", (2, 1), "the file is empty"),
        ("a: 1\n---\nb: 2\n", (2, 1), "a second document starts here"),
        ("---\n---\n", (2, 1), "the file is empty"),
        ("a: 1\nb: 2\na: 3\n", (3, 1), "key 'a' is already in line 1"),
        ("a: 1\n'a': 2\n", (2, 1), "key 'a' is already in line 1"),
        ('{a: 1, "\\x61": 2}', (1, 8), "key 'a' is already in line 1"),
        ("1: a\n!!int '1': b\n", (2, 1), "key '1' is already in line 1"),
        ("a: 1\n! a: 2\n", (2, 1), "key 'a' is already in line 1"),
        ("a:\n- b: [1]\n  b: 2\n", (3, 3), "key 'b' is already in line 2"),
        ("? a\n? a\n", (2, 3), "key 'a' is already in line 1"),
        ("&x a: 1\n*x : 2\n", (2, 1), "key 'a' is already in line 1"),
        ("? \n? \n", (2, 2), "key '' is already in line 1"),
        ("a: {<<: {}, <<: {}}\n", (1, 13), "key '<<' is already in line 1"),
        ("a: *b\n", (1, 4), "alias '*b' names nothing before it"),
        ("- *b\n- &b 1\n", (1, 3), "alias '*b' names nothing before it"),
        ("- &a\n  b: [*a]\n", (2, 7), "alias '*a' names what it stands in"),
        ("- &a 1\n- &a [*a]\n", (2, 7), "alias '*a' names what it stands in"),
        ("a: \x07\n", (1, 4), "character U+0007 is not allowed"),
        ("a: 1\n\0", (2, 1), "character U+0000 is not allowed"),
        ("a: 1\nb: [1\n", (3, 1), "while parsing a flow sequence: "),
        ("a: 1\n  b: 2\n", (2, 4), "mapping values are not allowed"),
        ("\ta: 1\n", (1, 1), "while scanning for the next token: "),
        ("!x!y a\n", (1, 1), "while parsing a node: found undefined tag handle"),
    ],
)
def test_what_is_not_yaml_is_refused(text: str, place: tuple[int, int], said: str) -> None:
    """The message says what is wrong, and where."""
    line, column = place
    assert refusal("a.yml", text).startswith(f"a.yml, line {line}, column {column}: {said}")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "text", ['- a\n- "\\UFFFFFFFF"', "- a\n- !%ED%A0%80 b", "%YAML 1." + "9" * 5000 + "\n--- a"]
)
def test_what_a_yaml_parser_stumbles_over_is_refused(text: str) -> None:
    """No error of a parser's inside escapes."""
    assert re.match(r"a\.yaml, line \d, column \d+: .", refusal("a.yaml", text))


@given(_JSON, st.sampled_from([None, False, True]), st.booleans())
def test_what_pyyaml_writes_passes(value: Any, flow: bool | None, unicode: bool) -> None:
    """Every value that YAML can write is accepted, in block style and in flow style."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=unicode)
    check("a.yaml", text)


def test_aliases_are_never_expanded() -> None:
    """A thousand bytes that stand for more than all memory pass quickly."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 50)]
    check("a.yaml", "\n".join(lines))


@pytest.mark.usefixtures("parser")
def test_tag_directives_are_bounded() -> None:
    """The C parser would compare each with each: minutes, while the process stands still."""
    text = "".join(f"%TAG !{n}! x\n" for n in range(200_000)) + "--- a"
    started = time.process_time()
    assert refusal("a.yaml", text) == "a.yaml: more than 100 %TAG directives"
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_large_files_are_checked_in_reasonable_time(name: str) -> None:
    """A file of more than a MiB takes a second or two, not minutes."""
    entries = [{"id": n, "subnets": ["10.0.0.0/8", "::/0"], "weight": 1.5} for n in range(20_000)]
    text = json.dumps(entries)
    started = time.process_time()
    check(name, text if name == "a.json" else f"# Not JSON\n{text}")
    assert time.process_time() - started < 20


def test_json_that_yaml_cannot_read_passes_as_yaml() -> None:
    """A JSON document under a YAML name is what Knot Resolver reads first."""
    text = '{\n\t"a": "\\ud83d\\ude00"\n}'
    with pytest.raises(yaml.YAMLError):
        list(yaml.parse(text, Loader=_validation._YAML_LOADER))
    check("a.yaml", text)


@given(st.sampled_from(["a.json", "a.yaml", "a.YML"]), st.binary())
def test_bytes_pass_or_are_refused(name: str, data: bytes) -> None:
    """Whatever the bytes are, nothing but a refusal is raised."""
    _passes(name, data)


@pytest.mark.parametrize("loader", [yaml.BaseLoader, _validation._YAML_LOADER])
@given(st.lists(st.sampled_from(_PIECES), max_size=15))
def test_near_misses_pass_or_are_refused(loader: type[yaml.BaseLoader], pieces: list[str]) -> None:
    """Text that is nearly YAML or JSON raises nothing but a refusal, with either parser."""
    text = "".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_validation, "_YAML_LOADER", loader)
        passes = _passes("a.yaml", text.encode())
    if not passes:
        assert not _passes("a.json", text.encode())


def _passes(name: str, data: bytes) -> bool:
    said = ""
    try:
        check(name, data)
    except InvalidConfigurationError as exc:
        said = str(exc)
    assert not said or said.startswith(name)
    assert len(said) < 300
    return not said
