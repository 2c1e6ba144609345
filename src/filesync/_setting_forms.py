"""
How a setting's value is written: a tree of the document to the value that it means.

Each function takes what stands behind a key, and returns it or refuses it with
its line; which key that is, and whether the value is in range, others know
(`filesync._settings_reader`, `filesync._setting_checks`).

Source: docs/reference/settings.md, "How it is read".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from filesync._setting_checks import option_problem, server_address
from filesync._values import frozen
from filesync._wording import one_of, shown
from filesync._yaml import Branch, Items, Leaf, Shape, Tree

__all__ = [
    "BYTES",
    "MOST_DIGITS",
    "SECONDS",
    "Choice",
    "count",
    "duration",
    "flag",
    "mode",
    "options",
    "plain",
    "section",
    "servers",
    "size",
    "text",
]

#: Of a duration or a size, before the point and after it.
MOST_DIGITS = 15

#: What a duration's unit stands for.
SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

#: What a size's unit stands for.
BYTES: dict[str, int] = {
    "": 1,
    "B": 1,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", 1)},
}

_NUMBER = rf"[0-9]{{1,{MOST_DIGITS}}}"
_DURATION = re.compile(rf"({_NUMBER}(?:\.{_NUMBER})?) ?(ms|s|m|h|)")
_SIZE = re.compile(rf"({_NUMBER}) ?([A-Za-z]*)")
_WHOLE = r"0|[1-9][0-9]{0,2}(?:_[0-9]{3}){1,5}|[1-9][0-9]{0,18}"
_COUNT = re.compile(_WHOLE)
_SIGNED = re.compile(rf"[-+]?(?:{_WHOLE})")
_MODE = re.compile(r"0o?[0-7]{3,6}")
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def section(tree: Tree) -> Branch:
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


def text(tree: Tree) -> str:
    leaf = _leaf(tree, "text")
    if leaf.shape is not Shape.TEXT:
        raise leaf.place.error(f"must be text: write {shown(leaf.text)}, with the quotes")
    return leaf.text


def flag(tree: Tree) -> bool:
    leaf = _leaf(tree, "true or false")
    if leaf.shape is not Shape.FLAG or leaf.text.lower() not in _TRUTH:
        raise _wrong(leaf, "true or false, without quotes")
    return _TRUTH[leaf.text.lower()]


@frozen
class Choice:
    """
    Takes one of several words.

    Attributes:
        words: What each of them means.
        any_case: Whether it may be written in capitals too; then *words* are in small letters.
    """

    words: Mapping[str, Any]
    any_case: bool = False

    def __call__(self, tree: Tree) -> Any:
        leaf = _leaf(tree, f"one of {', '.join(self.words)}")
        word = leaf.text.lower() if self.any_case else leaf.text
        if word not in self.words:
            raise leaf.place.error(one_of(self.words, leaf.text))
        return self.words[word]


def duration(tree: Tree) -> float:
    allowed = "a number of seconds, or a duration such as 500ms, 5s, 2m or 1h"
    leaf = _leaf(tree, allowed)
    match = _DURATION.fullmatch(leaf.text)
    if match is None:
        raise _wrong(leaf, allowed)
    return float(match[1]) * SECONDS[match[2]]


def size(tree: Tree) -> int:
    units = ", ".join(filter(None, BYTES))
    allowed = f"a whole number of bytes, or a size such as 512KiB; units: {units}"
    leaf = _leaf(tree, allowed)
    match = _SIZE.fullmatch(leaf.text)
    if match is None or match[2] not in BYTES:
        raise _wrong(leaf, allowed)
    return int(match[1]) * BYTES[match[2]]


def count(tree: Tree) -> int:
    allowed = "a whole number such as 1000 or 1_000"
    leaf = _leaf(tree, allowed)
    if _COUNT.fullmatch(leaf.text) is None:
        raise _wrong(leaf, allowed)
    return int(leaf.text)


def mode(tree: Tree) -> int:
    allowed = "permission bits in octal with a leading 0, such as 0640"
    leaf = _leaf(tree, allowed)
    if _MODE.fullmatch(leaf.text) is None:
        raise _wrong(leaf, allowed)
    return int(leaf.text.replace("o", ""), 8)


def servers(tree: Tree) -> tuple[str, ...]:
    items = tree.items if isinstance(tree, Items) else (tree,)
    return tuple(map(_server, items))


def _server(tree: Tree) -> str:
    leaf = _leaf(tree, "a server such as broker1@9092 or '[2001:db8::1]:9092', or a list of them")
    try:
        return server_address(text(leaf))
    except ValueError as error:
        raise tree.place.error(str(error)) from error


def options(tree: Tree) -> dict[str, dict[str, Any]]:
    return {
        driver: {name: _option(name, option.value) for name, option in twigs.items()}
        for driver, twigs in (
            (driver, section(twig.value).twigs) for driver, twig in section(tree).twigs.items()
        )
    }


def _option(name: str, tree: Tree) -> object:
    value = plain(tree)
    problem = option_problem(name, value)
    if problem is not None:
        raise tree.place.error(problem)
    return value


def plain(tree: Tree) -> Any:
    """Return *tree* as Python values: str, int, float, bool, list, dict."""
    if isinstance(tree, Branch):
        _refuse_placeholder(tree)
        return {name: plain(twig.value) for name, twig in tree.twigs.items()}
    if isinstance(tree, Items):
        return [plain(item) for item in tree.items]
    return _scalar(_leaf(tree, "text, a number, true or false"))


def _refuse_placeholder(branch: Branch) -> None:
    """Refuse what stands in braces without quotes, which is a section with an empty value."""
    for name, twig in branch.twigs.items():
        nothing = Leaf(place=twig.value.place, shape=Shape.NOTHING, text="")
        if len(branch.twigs) == 1 and twig.value == nothing:
            written = shown(f"{{{name}}}")
            raise branch.place.error(
                f"a placeholder needs quotes: write {written}, with the quotes; or add a value"
            )


def _scalar(leaf: Leaf) -> str | int | float | bool:
    if leaf.shape is Shape.FLAG:
        return flag(leaf)
    if leaf.shape is Shape.DISPUTED:
        raise leaf.place.error(
            f"{shown(leaf.text)} is text to one YAML and a number to another: "
            "write it with quotes, or as a plain decimal number"
        )
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
