r"""
Is a configuration file what its suffix promises: one JSON or YAML document?

Theory. What a daemon would misread must not reach it: bytes that are not
UTF-8, half a document or two, a key that says two things. So the *whole* file
is read strictly, before it becomes visible. It comes from the network, so a
small file must not cost much either: nothing recurses (however deep it nests,
no stack overflows), nothing is built from it, and an alias is looked up but
never expanded (a "billion laughs" is only a thousand bytes).

A ``.yaml`` file may hold JSON that no YAML parser takes (``"\ud83d\ude00"``);
Knot Resolver reads such a file as JSON, so it passes.

Left out: what the document *means*. The daemon's own check judges that. Keys
are compared as PyYAML resolves them, ``1`` is not ``"1"``; but ``yes`` and
``true`` are told apart, and lists or mappings used as keys are not compared.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import yaml
from attrs import define
from yaml.resolver import Resolver

from filesync._wording import shown
from filesync.exceptions import InvalidConfigurationError

__all__ = ["check_configuration"]

#: Characters in one JSON number. A double needs fewer than 800 to be exact;
#: Python refuses integers of more than 4,300 digits, others hang on them.
_MAX_NUMBER_LENGTH = 1000

#: Characters of a parser's explanation that a message repeats.
_MAX_PROBLEM = 200

_JSON_SPACE = re.compile(r"[ \t\n\r]*")

#: Source: YAML 1.1, section 5.1, `c-printable`.
_NOT_IN_YAML = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: libyaml compares each with all before it, in one call that nothing interrupts:
#: 4 MiB of them take minutes.
_MAX_TAG_DIRECTIVES = 100
_TAG_DIRECTIVE = re.compile("(?:^|[\n\r\x85\u2028\u2029])\ufeff?%TAG")

#: Ten times faster where PyYAML was built with libyaml.
_YAML_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_RESOLVER = Resolver()


def check_configuration(name: str, data: bytes, *, max_bytes: int, max_depth: int) -> None:
    """
    Return if *data* may be the content of the file *name*.

    Args:
        name: Its suffix, in any case, says what it must be: ``.json``,
            ``.yaml`` or ``.yml``. Every other file passes unread.
        data: The whole file.
        max_bytes: Largest size that is accepted.
        max_depth: How many lists and mappings may be open inside each other.

    Raises:
        InvalidConfigurationError: It may not. The message starts with *name*
            and gives line and column, both from 1.
    """
    suffixed = name.lower()
    if not suffixed.endswith((".json", ".yaml", ".yml")):
        return
    if len(data) > max_bytes:
        raise InvalidConfigurationError(
            f"{name}: {len(data)} bytes; a configuration file may have {max_bytes}"
        )
    text = _decode(name, data)
    if suffixed.endswith(".json"):
        _JsonReader(name, text, max_depth).read()
        return
    with suppress(InvalidConfigurationError):
        _JsonReader(name, text, max_depth).read()
        return
    _check_yaml(name, text, max_depth)


def _invalid(name: str, line: int, column: int, problem: str) -> InvalidConfigurationError:
    return InvalidConfigurationError(f"{name}, line {line}, column {column}: {problem}")


def _invalid_at(name: str, text: str, index: int, problem: str) -> InvalidConfigurationError:
    line = text.count("\n", 0, index) + 1
    return _invalid(name, line, index - text.rfind("\n", 0, index), problem)


def _decode(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        before = data[: exc.start].decode()
        raise _invalid_at(
            name, before, len(before), f"byte 0x{data[exc.start]:02x} is not UTF-8 ({exc.reason})"
        ) from exc


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _measure_number(text: str) -> None:
    if len(text) > _MAX_NUMBER_LENGTH:
        raise ValueError(
            f"a number of {len(text)} characters; at most {_MAX_NUMBER_LENGTH} are accepted"
        )


#: Reads strings and other scalars; lists and objects, where it would recurse,
#: are read by `_JsonReader`.
_SCALARS = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_measure_number, parse_float=_measure_number
)


class _JsonReader:
    """
    Reads one JSON document, strictly, on a stack of its own.

    Between two calls *index* is at the next character that is no white space.

    Source: RFC 8259.
    """

    def __init__(self, name: str, text: str, max_depth: int) -> None:
        self._name = name
        self._text = text
        self._max_depth = max_depth
        self._index = 0
        #: For each open object its keys and where they stand; None for a list.
        self._open: list[dict[str, int] | None] = []

    def read(self) -> None:
        if self._text.startswith("\ufeff"):
            raise self._invalid("a byte order mark is not JSON")
        self._move_to(0)
        if self._index == len(self._text):
            raise self._invalid("the file is empty")
        while self._read_value():
            pass
        if self._index < len(self._text):
            raise self._invalid("something follows the end of the document")

    def _read_value(self) -> bool:
        """Read a scalar or an opening bracket; return whether another value must follow."""
        if self._text.startswith(("{", "["), self._index):
            keys = self._enter()
            if not self._text.startswith(("}", "]"), self._index):
                if keys is not None:
                    self._read_key(keys)
                return True
        else:
            self._read_scalar()
        while self._open:
            keys = self._open[-1]
            if self._take(","):
                if keys is not None:
                    self._read_key(keys)
                return True
            bracket = "]" if keys is None else "}"
            if not self._take(bracket):
                raise self._invalid(f"expected ',' or '{bracket}'")
            self._open.pop()
        return False

    def _enter(self) -> dict[str, int] | None:
        if len(self._open) == self._max_depth:
            raise self._invalid(f"nested more than {self._max_depth} deep")
        keys: dict[str, int] | None = {} if self._text[self._index] == "{" else None
        self._open.append(keys)
        self._move_to(self._index + 1)
        return keys

    def _read_key(self, keys: dict[str, int]) -> None:
        start = self._index
        if not self._text.startswith('"', start):
            raise self._invalid("expected a key in double quotes")
        key = self._read_scalar()
        first = keys.setdefault(key, start)
        if first != start:
            line = self._text.count("\n", 0, first) + 1
            problem = f"key {shown(key)} is already in line {line}"
            raise _invalid_at(self._name, self._text, start, problem)
        if not self._take(":"):
            raise self._invalid("expected ':'")

    def _read_scalar(self) -> Any:
        try:
            value, end = _SCALARS.raw_decode(self._text, self._index)
        except json.JSONDecodeError as exc:
            problem = re.sub("( starting)? at$", "", exc.msg)
            problem = problem[0].lower() + problem[1:]
            raise _invalid_at(self._name, self._text, exc.pos, problem) from exc
        except ValueError as exc:
            raise self._invalid(str(exc)) from exc
        self._move_to(end)
        return value

    def _take(self, character: str) -> bool:
        if not self._text.startswith(character, self._index):
            return False
        self._move_to(self._index + 1)
        return True

    def _move_to(self, index: int) -> None:
        # It matches everywhere, be it nothing.
        self._index = _JSON_SPACE.match(self._text, index).end()  # type: ignore[union-attr]

    def _invalid(self, problem: str) -> InvalidConfigurationError:
        return _invalid_at(self._name, self._text, self._index, problem)


#: What makes two keys equal: tag and text of a scalar.
_Scalar = tuple[str, str]


@define(eq=False)
class _Collection:
    """
    A list or a mapping of a YAML document.

    Attributes:
        keys: Those of a mapping, and their lines; None for a list.
        at_key: Whether the next node is a key.
        ended: Whether all of it was read.
    """

    keys: dict[_Scalar, int] | None
    at_key: bool
    ended: bool = False


class _YamlReader:
    """
    Takes the events of a YAML parser, and remembers what is open and what is named.

    *mark* is where the last event started.
    """

    def __init__(self, name: str, max_depth: int) -> None:
        self._name = name
        self._max_depth = max_depth
        self._documents = 0
        self._open: list[_Collection] = []
        self._anchors: dict[str, _Scalar | _Collection] = {}
        self.mark: Any = yaml.Mark(name, 0, 0, 0, None, 0)

    def handle(self, event: yaml.Event) -> None:
        self.mark = event.start_mark
        match event:
            case yaml.ScalarEvent():
                self._read_scalar(event)
            case yaml.AliasEvent(anchor=str(anchor)):
                self._place(self._resolve(anchor))
            case yaml.MappingStartEvent():
                self._enter(event, _Collection(keys={}, at_key=True))
            case yaml.SequenceStartEvent():
                self._enter(event, _Collection(keys=None, at_key=False))
            case yaml.CollectionEndEvent():
                self._open.pop().ended = True
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self.invalid("a second document starts here")
            case yaml.StreamEndEvent() if not self._documents:
                raise self.invalid("the file is empty")

    def _read_scalar(self, event: yaml.ScalarEvent) -> None:
        if not self._open and not event.value and event.implicit[0]:
            raise self.invalid("the file is empty")
        tag = event.tag
        if tag is None or tag == "!":
            resolve = _RESOLVER.resolve
            tag = resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        scalar = (tag, event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = scalar
        self._place(scalar)

    def _enter(self, event: yaml.CollectionStartEvent, collection: _Collection) -> None:
        if len(self._open) == self._max_depth:
            raise self.invalid(f"nested more than {self._max_depth} deep")
        self._place(collection)
        self._open.append(collection)
        if event.anchor is not None:
            self._anchors[event.anchor] = collection

    def _resolve(self, anchor: str) -> _Scalar | _Collection:
        node = self._anchors.get(anchor)
        if node is None:
            raise self.invalid(f"alias {shown('*' + anchor)} names nothing before it")
        if isinstance(node, _Collection) and not node.ended:
            raise self.invalid(f"alias {shown('*' + anchor)} names what it stands in")
        return node

    def _place(self, node: _Scalar | _Collection) -> None:
        """Take *node* as the next entry, key or value of what is open."""
        parent = self._open[-1] if self._open else None
        if parent is None or parent.keys is None:
            return
        if parent.at_key and not isinstance(node, _Collection):
            if node in parent.keys:
                key, line = shown(node[1]), parent.keys[node]
                raise self.invalid(f"key {key} is already in line {line}")
            parent.keys[node] = self.mark.line + 1
        parent.at_key = not parent.at_key

    def invalid(self, problem: str) -> InvalidConfigurationError:
        return _invalid(self._name, self.mark.line + 1, self.mark.column + 1, problem)


def _check_yaml(name: str, text: str, max_depth: int) -> None:
    refused = _NOT_IN_YAML.search(text)
    if refused is not None:
        problem = f"character U+{ord(refused[0]):04X} is not allowed"
        raise _invalid_at(name, text, refused.start(), problem)
    if sum(1 for _ in _TAG_DIRECTIVE.finditer(text)) > _MAX_TAG_DIRECTIVES:
        raise InvalidConfigurationError(f"{name}: more than {_MAX_TAG_DIRECTIVES} %TAG directives")
    reader = _YamlReader(name, max_depth)
    try:
        for event in yaml.parse(text, Loader=_YAML_LOADER):
            reader.handle(event)
    except yaml.MarkedYAMLError as exc:
        reader.mark = exc.problem_mark or reader.mark
        problem = ": ".join(filter(None, (exc.context, exc.problem)))
        raise reader.invalid(problem[:_MAX_PROBLEM]) from exc
    except (yaml.YAMLError, ValueError, OverflowError) as exc:
        # PyYAML lets out what `chr`, `int` and `decode` raise.
        raise reader.invalid(str(exc)[:_MAX_PROBLEM]) from exc
