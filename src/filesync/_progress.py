"""
When the journal, and the broker, are told how far reading has come.

Theory. Positions that moved are written some seconds later, all at once: what
a crash loses of them is read again. Once more costs little, so whatever may
have left something unwritten asks for it. The broker is told for lag tools
only, later and again now and then, since it forgets.
"""

from __future__ import annotations

from math import inf

from filesync._alarms import Alarm, Alarms
from filesync._effects import CommitOffsets, SaveJournal
from filesync._keeper import Keeper
from filesync._outcomes import FaultSeen
from filesync._positions import Positions

__all__ = ["Progress"]

#: Seconds from a moved position to its journal entry, and to the broker.
_SAVE_AFTER = 5.0
_TELL_AFTER = 5.0
_TELL_RETRY = 60.0
#: The broker forgets offsets days after they were told; hourly will do.
_TELL_AGAIN = 3600.0


class Progress:
    """
    Sets the alarms for safe positions, and does what they are for.

    Args:
        keeper: Of the journal, and of what the broker knows.
        positions: How far each partition is read.
        alarms: Of the engine; two of them are set here.
    """

    def __init__(self, keeper: Keeper, positions: Positions, alarms: Alarms) -> None:
        self._keeper = keeper
        self._positions = positions
        self._alarms = alarms
        self._told_at = -inf

    def moved(self, at: float) -> None:
        """Note that positions moved, or partitions came or went."""
        self.unsaved(at)
        tell = min(self._alarms.due(Alarm.TELL_OFFSETS), at + _TELL_AFTER)
        self._alarms.set(Alarm.TELL_OFFSETS, tell)

    def unsaved(self, at: float) -> None:
        """Note that something may not be durable."""
        self._alarms.ensure(Alarm.SAVE_POSITIONS, at + _SAVE_AFTER)

    def save(self) -> SaveJournal | None:
        """Make the safe positions durable; None: they are."""
        return self._keeper.save_positions(self._positions.safe())

    def tell(self, at: float) -> CommitOffsets | None:
        """Tell the broker the safe positions; None: there is no need."""
        again = at - self._told_at >= _TELL_AGAIN
        tell = self._keeper.tell(self._positions.safe(), again=again)
        if tell is not None:
            self._told_at = at
        self._alarms.ensure(Alarm.TELL_OFFSETS, at + _TELL_AGAIN)
        return tell

    def told(self, at: float, error: str | None) -> FaultSeen | None:
        """The broker answered; return what the operator should know, if anything."""
        if error is not None:
            self._alarms.set(Alarm.TELL_OFFSETS, at + _TELL_RETRY)
        return self._keeper.told(error)
