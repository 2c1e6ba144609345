"""
Outcomes become log records: one line each, few when many are alike.

The logger is ``filesync``; the record's ``filesync`` attribute holds the
outcome itself, for whoever wants more than a line. Nothing is configured
here: that is the program's business.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from filesync._outcomes import Outcome, RecordRefused

__all__ = ["Teller"]

#: Of refused records with the same label: so many lines per minute.
_LINES = 10
_WINDOW = 60.0


class Teller:
    """
    Logs outcomes.

    Refused records come as fast as somebody sends them, so of each label only
    some are logged, and how many were not. Everything else is rare.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logging.getLogger("filesync")
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Log *outcome*."""
        level = logging.INFO if outcome.fine else logging.WARNING
        if isinstance(outcome, RecordRefused):
            level = logging.DEBUG if outcome.fine else logging.WARNING
            if not self._may_log(outcome.label, level):
                return
        self._logger.log(level, "%s: %s", outcome.label, outcome, extra={"filesync": outcome})

    def _may_log(self, label: str, level: int) -> bool:
        now = self._clock()
        begun, lines = self._windows.get(label, (now, 0))
        if now - begun >= _WINDOW:
            if lines > _LINES:
                self._logger.log(
                    level,
                    "%s: %d more such record(s) in the last %.0f s",
                    label,
                    lines - _LINES,
                    now - begun,
                )
            begun, lines = now, 0
        self._windows[label] = begun, lines + 1
        return lines < _LINES
