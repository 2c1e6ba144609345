"""
YAML text to a tree that knows its lines. Strict: what could surprise is refused.

Theory. A settings file is written by people, so whatever is wrong with it is
told with its line. PyYAML's nodes know their lines, the values it builds from
them do not; so the tree is built from the nodes, and a scalar keeps the text
that was written beside what YAML takes it for.

Only the wanted sections are turned into a tree and judged. The rest of the
document must be YAML, and no more than that: it belongs to somebody else. In
the wanted sections are refused: duplicate keys (YAML forbids them, PyYAML
keeps the last one), aliases and merge keys, foreign tags, keys that are not
text. Depth and length are bounded for the whole document, so that no text
exhausts the stack.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from filesync._values import frozen
from filesync._wording import shown, suggestion
from filesync.exceptions import SettingsError

__all__ = [
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "Branch",
    "Items",
    "Leaf",
    "Place",
    "Shape",
    "Tree",
    "Twig",
    "parse",
    "top_level",
]

#: A settings file that is longer is none: 1 Mi characters.
MAX_CHARACTERS = 1024 * 1024

#: Nested deeper than this, a document is refused; settings need six.
MAX_DEPTH = 50

#: PyYAML quotes names of any length; a message is one line.
_PROBLEM_CHARACTERS = 200

_PREFIX = "tag:yaml.org,2002:"
_TEXT = f"{_PREFIX}str"
_MERGE = f"{_PREFIX}merge"
_ALIAS = "alias"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
#: A number of YAML 1.2, which many editors speak; PyYAML's 1.1 takes some of them for text.
_NUMBER_12 = re.compile(
    r"0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII
)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class Shape(enum.Enum):
    """What YAML takes a scalar for."""

    TEXT = "str"
    WHOLE = "int"
    REAL = "float"
    FLAG = "bool"
    NOTHING = "null"
    #: Text to YAML 1.1, a number to YAML 1.2: ``0815``, ``1e3``, ``0o17``.
    DISPUTED = "number or text"


@frozen(kw_only=True)
class Place:
    """
    Where something stands, for messages.

    Attributes:
        source: Name of the document.
        line: From 1; None: the document as a whole.
        key: Dotted path; empty at the top.
    """

    source: str
    line: int | None = None
    key: str = ""

    def error(self, problem: str) -> SettingsError:
        """Return the error that tells *problem* here."""
        return SettingsError(problem, source=self.source, line=self.line, key=self.key)

    def below(self, name: str, line: int) -> Place:
        """Return the place of the key *name* in this section."""
        printable = name if _PLAIN_NAME.fullmatch(name) else shown(name)
        key = f"{self.key}.{printable}" if self.key else printable
        return Place(source=self.source, line=line, key=key)

    def at(self, line: int) -> Place:
        """Return this place, at another line."""
        return Place(source=self.source, line=line, key=self.key)


@frozen(kw_only=True)
class Leaf:
    """A scalar: *text* as it was written, without its quotes."""

    place: Place
    shape: Shape
    text: str


@frozen(kw_only=True)
class Items:
    """A list."""

    place: Place
    items: tuple[Tree, ...]


@frozen(kw_only=True)
class Twig:
    """One key of a section with its value; *place* is the key's."""

    place: Place
    value: Tree


@frozen(kw_only=True)
class Branch:
    """A section: its keys in the order of the document, each there once."""

    place: Place
    twigs: Mapping[str, Twig]

    def refuse_unknown(self, known: Collection[str]) -> None:
        """
        Refuse keys that are not among *known*.

        Raises:
            SettingsError: The first of them, and what may have been meant.
        """
        for name, twig in self.twigs.items():
            if name not in known:
                hint = suggestion(name, known) or f"known here: {', '.join(sorted(known))}"
                raise twig.place.error(f"unknown key; {hint}")


Tree = Leaf | Items | Branch


def parse(text: str, *, source: str, wanted: Collection[str]) -> Branch:
    """
    Return the *wanted* keys of the mapping that *text* is.

    Args:
        text: One YAML document, at most `MAX_CHARACTERS` long and `MAX_DEPTH` deep.
        source: What messages call it.
        wanted: Top-level keys; all others are passed over.

    Raises:
        SettingsError: It is not that, or a wanted section holds what is
            refused; with the line.
    """
    top = Place(source=source)
    if len(text) > MAX_CHARACTERS:
        raise top.error(f"{len(text)} characters are too many: at most {MAX_CHARACTERS}")
    root = _compose(text, top)
    names = ", ".join(wanted)
    if root is None or root.tag == f"{_PREFIX}null":
        raise top.error(f"the document is empty: write a mapping with the keys {names}")
    if not isinstance(root, yaml.MappingNode):
        raise top.at(_line(root)).error(f"must be a mapping with the keys {names}")
    return _branch(root, top.at(_line(root)), wanted)


def top_level(text: str, *, source: str) -> dict[str, int]:
    """Return the line of every top-level key of a document that `parse` takes, if it is text."""
    root = _compose(text, Place(source=source))
    pairs = root.value if isinstance(root, yaml.MappingNode) else ()
    keys = (key for key, _ in pairs if isinstance(key, yaml.ScalarNode) and key.tag == _TEXT)
    return {key.value: _line(key) for key in keys}


class _Composer(yaml.SafeLoader):
    """Composes nodes to a bounded depth, and leaves aliases visible."""

    def __init__(self, text: str, top: Place) -> None:
        super().__init__(text)
        self.top = top
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        alias = isinstance(event, yaml.AliasEvent)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            place = self.top.at(event.start_mark.line + 1)
            raise place.error(f"nested too deep: at most {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and node is not None:
            node.tag = _resolved(node)
        if alias:
            return yaml.ScalarNode(_ALIAS, event.anchor, event.start_mark, event.end_mark)
        return node


def _resolved(node: yaml.Node) -> str:
    """Return the tag of a scalar that is written without quotes and without a tag."""
    tag: str = node.tag
    disputed = tag == _TEXT and _NUMBER_12.fullmatch(node.value)
    return _PREFIX + Shape.DISPUTED.value if disputed else tag


def _compose(text: str, top: Place) -> yaml.Node | None:
    try:
        composer = _Composer(text, top)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise top.at(line).error(
            f"not valid YAML, column {column}: the character U+{error.character:04X} "
            "is not allowed; write it as an escape in double quotes"
        ) from error
    try:
        return composer.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise top.at(mark.line + 1).error(
            f"not valid YAML, column {mark.column + 1}: {problem[:_PROBLEM_CHARACTERS]}"
        ) from error
    except (ValueError, OverflowError) as error:  # PyYAML lets these out of its own int and chr.
        raise top.at(composer.line + 1).error(
            "not valid YAML: an escape, or the version after %YAML, is out of range"
        ) from error


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line + 1
    return line


def _tree(node: yaml.Node, place: Place) -> Tree:
    _check_tag(node, place)
    if isinstance(node, yaml.MappingNode):
        return _branch(node, place)
    if isinstance(node, yaml.SequenceNode):
        items = tuple(_tree(item, place.at(_line(item))) for item in node.value)
        return Items(place=place, items=items)
    if _NO_TEXT.search(node.value):
        raise place.error("must not contain NUL or half a surrogate pair")
    return Leaf(place=place, shape=Shape(node.tag.removeprefix(_PREFIX)), text=node.value)


#: By the class of its node, what a value may be.
_TAGS: Mapping[type[yaml.Node], frozenset[str]] = {
    yaml.MappingNode: frozenset({f"{_PREFIX}map"}),
    yaml.SequenceNode: frozenset({f"{_PREFIX}seq"}),
    yaml.ScalarNode: frozenset(_PREFIX + shape.value for shape in Shape),
}


def _check_tag(node: yaml.Node, place: Place) -> None:
    if node.tag in _TAGS[type(node)]:
        return
    if node.tag == _ALIAS:
        raise place.error(
            f"the alias {shown('*' + node.value)} is not allowed: write the value out"
        )
    kind = node.tag.removeprefix(_PREFIX)
    raise place.error(
        f"YAML takes this for {shown(kind)}, but only text, numbers, true, false, "
        "lists and mappings are allowed; put text in quotes"
    )


def _branch(node: yaml.MappingNode, place: Place, wanted: Collection[str] | None = None) -> Branch:
    """Return *node*'s keys; with *wanted* only these, and the others may be anything."""
    _check_tag(node, place)
    twigs: dict[str, Twig] = {}
    lines: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        line = _line(key)
        if not isinstance(key, yaml.ScalarNode):
            if wanted is None:
                raise place.at(line).error(
                    "a key must be text; an address in brackets needs quotes around it"
                )
            continue
        here = place.below(key.value, line)
        if key.tag in {_ALIAS, _MERGE}:
            raise here.error("aliases and merge keys are not allowed here: write the keys out")
        if wanted is None and key.tag != _TEXT:
            raise here.error("a key must be text: put it in quotes")
        if (key.tag, key.value) in lines:
            first = lines[key.tag, key.value]
            raise here.error(f"the key is given twice, first in line {first}")
        lines[key.tag, key.value] = line
        if wanted is None or (key.tag == _TEXT and key.value in wanted):
            twigs[key.value] = Twig(place=here, value=_tree(value, here.at(_line(value))))
    return Branch(place=place, twigs=twigs)
