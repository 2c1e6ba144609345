"""Whatever a settings file holds, it becomes settings or one complaint."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from filesync._settings_reader import KEYS
from filesync.exceptions import SettingsError
from support.settings_examples import EXAMPLE, read

WORDS = st.sampled_from(
    [
        *(part for key in KEYS for part in key.split(".")),
        *"[]{}:,-?&*!|>'\"%@#~\n\t ",
        *["<<", "*a", "&a ", "!!int ", "!!bool ", "!!float ", "!!binary ", "!x ", "---\n", "\n  "],
        *[
            ": ",
            "- ",
            "5s",
            "8MiB",
            "0640",
            "true",
            "~",
            "1:30",
            ".nan",
            "::1",
            "\\ud800",
            "=",
            "0b_",
        ],
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.dates()
    | st.binary(max_size=3)
    | WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(WORDS | SCALARS, values, max_size=3)
    ),
    max_leaves=8,
)
KNOWN = st.dictionaries(st.sampled_from(sorted(KEYS)), VALUES, max_size=4)


def settings_or_complaint(text: str) -> None:
    """Fail on any exception but `SettingsError`, and on one whose message is not one line."""
    try:
        read(text)
    except SettingsError as error:
        refusal = error
    else:
        return
    assert len(str(refusal).splitlines()) == 1
    assert refusal.source == "f.yaml"
    assert refusal.line is None or 1 <= refusal.line <= 1 + len(text)


@given(st.text(st.characters(exclude_categories=[])))
@example("%")
@example("kafka: {topic: !!int ''}")
@example("kafka: !!map")
@example("kafka: {enable: !!bool x}")
@example("filesync: {daemon: {a: !!int 0b_, b: !!float '', c: !<alias> x}}")
def test_any_text_gives_settings_or_one_complaint(text: str) -> None:
    """No text makes the reader fail in another way."""
    settings_or_complaint(text)


@given(st.lists(WORDS | st.text(max_size=3)).map("".join))
def test_anything_like_yaml_gives_settings_or_one_complaint(text: str) -> None:
    """Nor does text made of the pieces of settings files."""
    settings_or_complaint(text)


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 20), st.lists(WORDS, max_size=3).map("".join))
def test_a_damaged_file_gives_settings_or_one_complaint(start: int, cut: int, put: str) -> None:
    """Nor does a good file with a piece cut out and another put in."""
    settings_or_complaint(EXAMPLE[:start] + put + EXAMPLE[start + cut :])


@given(KNOWN)
def test_any_values_give_settings_or_one_complaint(values: dict[str, Any]) -> None:
    """Nor do known keys with values of every type."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            below = branch.setdefault(section, {})
            branch = below if isinstance(below, dict) else branch
        branch[name] = value
    settings_or_complaint(yaml.dump(tree, allow_unicode=True))
