"""A settings file that is wrong gives one complaint: where, what, and what is allowed."""

from __future__ import annotations

import pytest

from filesync._settings import Settings
from filesync._settings_reader import read_settings
from filesync._wording import shown, suggestion
from filesync._yaml import MAX_CHARACTERS, MAX_DEPTH
from filesync.exceptions import SettingsError
from support.settings_examples import complaint, read
from support.settings_refused import REFUSED


@pytest.mark.parametrize(("text", "line", "key", "words"), REFUSED)
def test_a_mistake_is_told_with_line_key_and_what_is_allowed(
    text: str, line: int | None, key: str, words: str
) -> None:
    """Every complaint is one line that leads to the mistake and out of it."""
    error = complaint(text)
    assert (error.source, error.line, error.key) == ("f.yaml", line, key)
    assert words in str(error)
    assert len(str(error).splitlines()) == 1
    assert "hunter2" not in str(error)


def test_a_system_with_an_impossible_host_name_needs_one_in_the_file() -> None:
    """The key is named though no line holds it; a `hostname` in the file helps."""
    with pytest.raises(SettingsError, match="printable ASCII") as caught:
        read_settings("kafka: {}", source="f.yaml", default_hostname="n\u00e4me")
    assert (caught.value.line, caught.value.key) == (None, "hostname")
    assert read_settings("hostname: a", source="f", default_hostname="").hostname == "a"


def test_a_document_may_be_long_but_not_endless() -> None:
    """The bound is exact."""
    start = "kafka: {topic: t} #"
    text = start + "x" * (MAX_CHARACTERS - len(start))
    assert read(text).kafka.topic == "t"
    assert "1048577 characters are too many: at most 1048576" in str(complaint(text + "x"))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_a_document_may_be_deep_but_not_bottomless(opening: str, closing: str) -> None:
    """The bound is exact, in the sections of others too, and spares the stack."""
    levels = MAX_DEPTH - 2
    fits, over = (f"other:\n  {opening * n}x{closing * n}\n" for n in (levels, levels + 1))
    assert read(fits) == Settings(source="f.yaml", hostname="here")
    error = complaint(over)
    assert (error.line, "at most 50 levels" in str(error)) == (2, True)
    assert complaint(f"other:\n  {opening * 20_000}").line == 2


def test_siblings_are_not_depth() -> None:
    """Only what stands inside one another counts, aliases too."""
    assert read("a: &a 1\nother: [" + "[*a], " * 100 + "]").hostname == "here"


def test_long_names_are_cut_in_messages() -> None:
    """A complaint stays readable whatever is written."""
    assert len(str(complaint("kafka: {" + "a" * 1000 + ": 1}"))) < 400
    assert len(str(complaint("a: *" + "a" * 1000))) < 300
    assert len(str(complaint("kafka: {topic: '" + "/" * 1000 + "'}"))) < 300
    assert shown("a" * 60) == "'" + "a" * 60 + "'"
    assert shown("a" * 61) == "'" + "a" * 60 + "'\u2026"


@pytest.mark.parametrize(
    ("word", "expected"),
    [("MAX_WAIT", "did you mean max-wait?"), ("maxwait", "did you mean max-wait?"), ("zzz", "")],
)
def test_a_near_miss_is_recognised(word: str, expected: str) -> None:
    """Case and underscores do not count, and nothing is suggested for nonsense."""
    assert suggestion(word, ["quiet", "max-wait"]) == expected
