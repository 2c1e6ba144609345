"""Where a key stands in a settings file, once something is found to be wrong with it."""

from __future__ import annotations

import pytest

from filesync._settings_document import Document
from filesync.exceptions import SettingsError, TransportError

DOCUMENT = Document(
    source="f.yaml",
    text="""\
hostname: ns1
kafka:
  options:
    d:
      a: 1
      a.b: 2
      a.b.c: 3
? [filesync]
: 1
kafka-ui:
  a: {a: 1, a: 2}
filesnyc: {}
""",
)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("hostname", 1),
        ("hostname.of.me", 1),
        ("kafka.options.d.a", 5),
        ("kafka.options.d.a.b", 6),
        ("kafka.options.d.a.b.c", 7),
        ("kafka.options.d.a.bc", 5),
        ("kafka.options.d.x", 4),
        ("kafka.topic", 2),
    ],
)
def test_a_fault_is_told_with_the_line_of_its_key(key: str, line: int) -> None:
    """Or of the nearest section that is there; the names of options have dots."""
    told = DOCUMENT.placed(SettingsError("no", source="f.yaml", key=key))
    assert told is not None
    assert (told.line, str(told)) == (line, f"f.yaml, line {line}: {key}: no")


def test_a_fault_with_the_transport_names_its_key_itself() -> None:
    """It is not named twice."""
    told = DOCUMENT.placed(TransportError("kafka.ca-file: no", key="kafka.ca-file"))
    assert str(told) == "f.yaml, line 2: kafka.ca-file: no"


def test_a_key_that_is_nowhere_has_no_line() -> None:
    """What is at fault may be a default."""
    told = DOCUMENT.placed(TransportError("filesync.driver: no", key="filesync.driver"))
    assert str(told) == "f.yaml: filesync.driver: no"


@pytest.mark.parametrize(
    "fault",
    [
        SettingsError("no", source="f.yaml"),
        SettingsError("no", source="f.yaml", line=3, key="kafka"),
        TransportError("no"),
        KeyError("kafka"),
        None,
    ],
)
def test_other_faults_are_told_as_they_are(fault: BaseException | None) -> None:
    """They are about no key, or have a line."""
    assert DOCUMENT.placed(fault) is None


def test_only_what_is_like_a_missing_key_is_misspelt() -> None:
    """Other keys are somebody else's."""
    assert [str(each) for each in DOCUMENT.misspelt()] == [
        "f.yaml, line 12: filesnyc: not a key of filesync; did you mean filesync?"
    ]
    assert DOCUMENT.has("kafka")
    assert not DOCUMENT.has("filesync")
