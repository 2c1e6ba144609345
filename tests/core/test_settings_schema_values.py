"""Whatever is written for a key, the schema of the settings file takes what the reader takes."""

from __future__ import annotations

import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.editor import agree
from support.settings_examples import PAGE, ROW, document

NUMBERS = st.one_of(
    st.integers(0, 20),
    st.integers(0, 10**17),
    st.sampled_from([168, 200, 201, 10_080, 604_800, 604_800_000, 512 * 2**20, 2**63 - 1, 2**63]),
).flatmap(lambda number: st.sampled_from([number - 1, number, number + 1]))
FRACTIONS = st.just("") | st.from_regex(r"\.[0-9]{0,17}", fullmatch=True)
UNITS = st.sampled_from(["", "ms", "s", "m", "h", "B", "KiB", "TiB", "kB", "GB", "M", "x"])
ZEROS = st.sampled_from(["", "", "", "0", "00000000000000"])
QUANTITIES = st.builds(
    lambda zeros, number, fraction, space, unit, quote: (
        f"{quote}{zeros}{number}{fraction}{space}{unit}{quote}"
    ),
    ZEROS,
    NUMBERS,
    FRACTIONS,
    st.sampled_from(["", "", " ", "  "]),
    UNITS,
    st.sampled_from(["", "'"]),
)
GROUPED = st.from_regex(r"'?[0-9]{1,3}(_[0-9]{3}){0,7}'?", fullmatch=True)
MODES = st.from_regex(r"'0?o?[0-8]{1,7}'", fullmatch=True)

#: Characters that somebody's class of characters holds, and somebody else's does not.
ODD = "\t\n\x0b\x1c\x1f\x7f\x85\xa0\u1680\u180e\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
TEXT = st.text(st.sampled_from("aZ09_.-:/@[]{}%~! \u00e4\u0131\u017f\U0001f600" + ODD), max_size=9)
SERVERS = st.from_regex(
    r"\[?([0-9]{1,3}(\.[0-9]{1,3}){3}|[a-zA-Z0-9._-]{0,9}|[0-9a-f:]{0,9}%?[a-z]?)\]?"
    r"([@:][0-9]{0,6})?\n?",
    fullmatch=True,
)
PLACES = [".", "..", "/..", "/a/./", "/a//", "//", "/a/.b", "/a/b", "a..b", "b.", "~"]
WORDS = st.sampled_from(
    [
        *PLACES,
        *["plaintext", "SSL", "Sasl_ssl", "sasl-ssl", "PLAIN", "scram-sha-256", "SCRAM-SHA512"],
        *["pla\u0131n", "earliest", "Latest", "data", "config", "hostname", "zone-id", "debug"],
        *["warn", "INFO", "true", "yes", "ON", "null", "0815", "1e3", "0o17", "-08", ".5E1"],
    ]
)


def quoted(text: str) -> str:
    """Return *text* in YAML's double quotes."""
    return yaml.safe_dump(text, default_style='"', width=math.inf).strip()


#: By the type that the page tells, what may be written, and a little more.
VALUES: dict[str, st.SearchStrategy[str]] = {
    "duration": QUANTITIES,
    "size": QUANTITIES,
    "count": QUANTITIES | GROUPED,
    "mode": MODES | QUANTITIES,
    "server": SERVERS.map(quoted) | TEXT.map(quoted),
    "boolean": WORDS | QUANTITIES,
    "word": WORDS | WORDS.map(quoted),
    "text": TEXT.map(quoted) | WORDS | WORDS.map(quoted) | QUANTITIES,
    "path": TEXT.map(quoted) | WORDS | TEXT.map(lambda text: quoted(f"/{text}")),
}
TYPES = {
    key: re.split(r"[ ,]", kind.strip())[0]
    for key, kind, _ in ROW.findall(PAGE.read_text("utf-8"))
    if not key.startswith("filesync.files.")
} | {"filesync.daemon.check-timeout": "duration"}


@pytest.mark.parametrize("character", ODD)
@pytest.mark.parametrize("key", ["kafka.group", "filesync.file-owner", "hostname"])
def test_odd_characters_are_judged_alike(key: str, character: str) -> None:
    """Those that are not printed, and those that are a space to some."""
    agree(document(key, quoted(f"a{character}b")))
    agree(document(key, quoted(f"a{character}")))


@pytest.mark.parametrize("kind", sorted(VALUES))
@given(data=st.data())
def test_the_schema_takes_a_value_if_and_only_if_it_is_read(kind: str, data: st.DataObject) -> None:
    """Of every type, in range and out of it."""
    key = data.draw(st.sampled_from(sorted(key for key in TYPES if TYPES[key] == kind)))
    value = data.draw(VALUES[kind])
    agree(document(key, value))


@given(st.text(st.sampled_from("abz09._- :[]%@"), max_size=3), st.sampled_from("a1.-_"))
def test_a_list_of_servers_is_judged_one_by_one(odd: str, other: str) -> None:
    """A list is as good as its worst server."""
    agree(document("kafka.server", f"[{quoted(odd)}, {quoted(other)}]"))


TOGETHER: dict[str, st.SearchStrategy[str]] = {
    "kafka": st.fixed_dictionaries(
        {},
        optional={
            "security-protocol": st.sampled_from(
                ["plaintext", "SSL", "sasl_plaintext", "Sasl_SSL"]
            ),
            **dict.fromkeys(
                ["ca-file", "cert-file", "key-file", "key-password-file", "sasl-password-file"],
                st.just("/p"),
            ),
            "sasl-mechanism": st.just("plain"),
            "sasl-username": st.just("me"),
        },
    ).map(str),
    "filesync": st.fixed_dictionaries(
        {},
        optional={
            "routing": st.fixed_dictionaries(
                {},
                optional={"by": st.sampled_from(["hostname", "zone-id"]), "zone-id": st.just("a")},
            ),
            "schedule": st.dictionaries(
                st.sampled_from(["quiet", "max-wait", "backoff", "max-backoff"]),
                st.sampled_from(["1s", "1m"]),
            ),
        },
    ).map(str),
}


@given(*TOGETHER.values())
def test_what_goes_with_what_is_judged_alike(kafka: str, filesync: str) -> None:
    """Certificates with TLS, passwords with SASL, a zone id with routing by one."""
    agree(f"kafka: {kafka}\nfilesync: {filesync}\n")
