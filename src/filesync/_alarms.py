"""Several alarms, of which the world keeps one."""

from __future__ import annotations

import enum
from math import inf

__all__ = ["Alarm", "Alarms"]


class Alarm(enum.Enum):
    """What is due."""

    SCHEDULER = "scheduler"
    RETRY_COMMIT = "retry a commit"
    RETRY_CHUNKS = "retry chunks"
    SAVE_POSITIONS = "save positions"
    TELL_OFFSETS = "tell offsets"
    EXPIRE = "expire transfers"
    STOP = "stop waiting for what is under way"


class Alarms:
    """When each alarm is due; `at` is the earliest."""

    def __init__(self) -> None:
        self._due: dict[Alarm, float] = {}

    @property
    def at(self) -> float:
        """The earliest instant; inf: none is set."""
        return min(self._due.values(), default=inf)

    def due(self, alarm: Alarm) -> float:
        """Return when *alarm* is due; inf: it is not set."""
        return self._due.get(alarm, inf)

    def set(self, alarm: Alarm, at: float) -> None:
        """Set *alarm* to *at*, in place of any earlier setting; inf: never."""
        if at == inf:
            self._due.pop(alarm, None)
        else:
            self._due[alarm] = at

    def ensure(self, alarm: Alarm, at: float) -> None:
        """Set *alarm* to *at* unless it is set."""
        if at != inf:
            self._due.setdefault(alarm, at)

    def take(self, at: float) -> tuple[Alarm, ...]:
        """Return the alarms that are due at *at*, earliest first, and clear them."""
        due = sorted(
            (alarm for alarm, when in self._due.items() if when <= at),
            key=lambda alarm: self._due[alarm],
        )
        for alarm in due:
            del self._due[alarm]
        return tuple(due)
