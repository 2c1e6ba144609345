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
        #: By label: since when, how many, and at which level they are logged.
        self._windows: dict[str, tuple[float, int, int]] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Log *outcome*."""
        now = self._clock()
        self._close_windows(now)
        level = logging.INFO if outcome.fine else logging.WARNING
        if isinstance(outcome, RecordRefused):
            level = logging.DEBUG if outcome.fine else logging.WARNING
            begun, lines, _ = self._windows.get(outcome.label, (now, 0, level))
            self._windows[outcome.label] = begun, lines + 1, level
            if lines >= _LINES:
                return
        self._logger.log(level, "%s: %s", outcome.label, outcome, extra={"filesync": outcome})

    def _close_windows(self, now: float) -> None:
        """Tell, of each label whose time is over, how many were not logged."""
        for label, (begun, lines, level) in list(self._windows.items()):
            if now - begun < _WINDOW:
                continue
            del self._windows[label]
            if lines > _LINES:
                self._logger.log(
                    level,
                    "%s: %d more such record(s) in the last %.0f s",
                    label,
                    lines - _LINES,
                    now - begun,
                )
