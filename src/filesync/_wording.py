"""How messages for people quote what was written and suggest what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

__all__ = ["one_of", "shown", "suggestion"]

#: Longer text is cut: a message is one line.
_SHOWN_CHARACTERS = 60


def shown(text: str) -> str:
    """Return *text* quoted, in ASCII and on one line, cut after 60 characters."""
    if len(text) <= _SHOWN_CHARACTERS:
        return ascii(text)
    return f"{text[:_SHOWN_CHARACTERS]!a}…"


def suggestion(word: str, known: Iterable[str]) -> str:
    """
    Return ``did you mean …?`` with the one of *known* that is like *word*, or nothing.

    Case does not count, and a hyphen is as good as an underscore.
    """
    folded = {_folded(name): name for name in known}
    matches = difflib.get_close_matches(_folded(word[:_SHOWN_CHARACTERS]), folded, n=1)
    return f"did you mean {folded[matches[0]]}?" if matches else ""


def one_of(known: Collection[str], word: str) -> str:
    """Return the complaint that *word* is not one of *known*."""
    complaint = f"must be one of {', '.join(known)}; not {shown(word)}"
    hint = suggestion(word, known)
    return f"{complaint}; {hint}" if hint else complaint


def _folded(word: str) -> str:
    return word.lower().replace("_", "-")
