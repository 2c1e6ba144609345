"""
An orderly end: finish what is under way, write the positions, then end.

Theory. `ask` begins it. While something is under way, nothing happens, unless
patience ran out. Then the positions are saved, once, and when that has ended,
well or badly, so has everything.
"""

from __future__ import annotations

import enum

__all__ = ["Shutdown", "Step"]


class Step(enum.Enum):
    """What to do now."""

    WAIT = "wait"
    SAVE = "save the positions"
    FINISH = "finish"


class _Phase(enum.Enum):
    NOT_ASKED = 0
    FINISHING_WORK = 1
    SAVING = 2
    ENDED = 3


class Shutdown:
    """Whether the end was asked for, and how far it is."""

    def __init__(self) -> None:
        self._phase = _Phase.NOT_ASKED
        self._patient = True

    @property
    def asked(self) -> bool:
        """Whether nothing new may start."""
        return self._phase is not _Phase.NOT_ASKED

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return self._phase is _Phase.ENDED

    def ask(self) -> bool:
        """Begin the end; say whether it was not asked for before."""
        if self.asked:
            return False
        self._phase = _Phase.FINISHING_WORK
        return True

    def lose_patience(self) -> None:
        """What is under way is no longer waited for."""
        self._patient = False

    def next(self, *, busy: bool) -> Step:
        """Return what to do; *busy*: something is under way."""
        if self._phase is _Phase.NOT_ASKED or (busy and self._patient):
            return Step.WAIT
        if self._phase is _Phase.FINISHING_WORK:
            self._phase = _Phase.SAVING
            return Step.SAVE
        self._phase = _Phase.ENDED
        return Step.FINISH
