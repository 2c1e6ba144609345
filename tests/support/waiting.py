"""Waiting for what another thread or process does; the one place where tests sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["eventually"]

#: Seconds between two looks.
_INTERVAL = 0.01

_Seen = TypeVar("_Seen")


def eventually(
    condition: Callable[[], _Seen], timeout: float = 10.0, *, what: str | None = None
) -> _Seen:
    """
    Return the first truthy answer of *condition*.

    Args:
        condition: Asked again and again, at least once; what it raises is passed on.
        timeout: Seconds to wait; a condition that blocks is not interrupted.
        what: What is waited for, for the message; by default the condition's name.

    Raises:
        AssertionError: *timeout* passed; the message shows the last answer.
    """
    deadline = time.monotonic() + timeout
    while not (seen := condition()):
        if time.monotonic() >= deadline:
            awaited = what or getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"not within {timeout:g} s: {awaited}; last seen: {seen!r}")
        time.sleep(_INTERVAL)
    return seen
