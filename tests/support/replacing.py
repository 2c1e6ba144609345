"""Versions of a file that replace each other, and what is recorded of them."""

from __future__ import annotations

from filesync import Ending
from filesync._ledger import FileCommitted, decode
from filesync._plan import NotCommitted, PlanResult
from support.disk import Workshop

__all__ = ["NEW", "OLD", "OLDER", "ORDER", "PIECES", "commits", "ending"]

OLDER, OLD, NEW = b"older: 1\n", b"old: 1\n", b"new: 1\n# longer than the old one\n"

#: The new file in four chunks, which arrive as three segments.
PIECES, ORDER = [NEW[:9], NEW[9:14], NEW[14:20], NEW[20:]], [3, 2, 0, 1]


def commits(shop: Workshop) -> list[FileCommitted]:
    """Return the commits that are in the journal."""
    entries, _ = decode((shop.path / ".filesync" / "journal").read_bytes())
    return [entry for entry in entries if isinstance(entry, FileCommitted)]


def ending(result: PlanResult) -> Ending:
    """Return how a plan that brought no new file ended."""
    assert isinstance(result, NotCommitted), result
    return result.ending
