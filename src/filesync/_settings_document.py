"""
The text of a settings file that was read: where its keys are, once a fault is found later.

Theory. `Settings` carry no lines, since a program may build them without a
file. What only a driver, a daemon's adapter or the system can refuse is told
with a key; where that stands is looked up when it is needed, in the same text.
"""

from __future__ import annotations

from filesync._settings_reader import TOP
from filesync._values import frozen
from filesync._wording import suggestion
from filesync._yaml import Branch, Place, Tree, parse, top_level
from filesync.exceptions import SettingsError, TransportError

__all__ = ["Document"]


@frozen(kw_only=True)
class Document:
    """
    A settings file.

    Attributes:
        source: Its name.
        text: What `filesync.read_settings` took.
    """

    source: str
    text: str

    def placed(self, fault: BaseException | None) -> SettingsError | None:
        """Return *fault* with the line of its key; None: it is not about a key, or has a line."""
        if isinstance(fault, SettingsError) and fault.key and fault.line is None:
            return self._place(fault.key).error(fault.problem)
        if isinstance(fault, TransportError) and fault.key:  # Which it names itself.
            line = self._place(fault.key).line
            return SettingsError(str(fault), source=self.source, line=line)
        return None

    def misspelt(self) -> list[SettingsError]:
        """Return a complaint for every top-level key that is like one of ours that is missing."""
        lines = top_level(self.text, source=self.source)
        missing = [name for name in TOP if name not in lines]
        hints = ((name, line, suggestion(name, missing)) for name, line in lines.items())
        top = Place(source=self.source)
        return [
            top.below(name, line).error(f"not a key of filesync; {hint}")
            for name, line, hint in hints
            if hint and name not in TOP
        ]

    def has(self, name: str) -> bool:
        """Whether *name* is a top-level key."""
        return name in top_level(self.text, source=self.source)

    def _place(self, key: str) -> Place:
        """Return the place of *key*; its line is that of the nearest section that is there."""
        tree: Tree = parse(self.text, source=self.source, wanted=TOP)
        line, rest = None, key
        while isinstance(tree, Branch):
            # The names of options have dots.
            above = [name for name in tree.twigs if f"{rest}.".startswith(f"{name}.")]
            if not above:
                break
            name = max(above, key=len)
            line, tree, rest = (
                tree.twigs[name].place.line,
                tree.twigs[name].value,
                rest[len(name) + 1 :],
            )
        return Place(source=self.source, line=line, key=key)
