"""
The scheduler, with the files that each action covers.

The scheduler knows only that something changed. Here it is known what: an
action covers every commit up to a sequence, the newest one at its start, and
once it succeeded the ledger is told that number.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from filesync import _scheduler as scheduler
from filesync._effects import RunAction
from filesync._ledger import Ledger
from filesync._model import CommittedFile, Kind
from filesync._outcomes import ActionEnded
from filesync._settings import Schedule
from filesync.daemon import (
    ActionKind,
    ActionResult,
    Assumed,
    Misconfigured,
    Refused,
    Served,
    Unknown,
    Unreachable,
)
from filesync.exceptions import InvalidTransitionError

__all__ = ["Actions"]

_WANTED = {Kind.DATA: ActionKind.RENEW, Kind.CONFIG: ActionKind.RELOAD}


class Actions:
    """
    Reloads and renews: what is wanted, and what is under way.

    Args:
        times: The schedule.
        ledger: Returns what is committed and not served now.
    """

    def __init__(self, times: Schedule, ledger: Callable[[], Ledger]) -> None:
        self._times = times
        self._ledger = ledger
        self._state: scheduler.State = scheduler.Idle()
        self._running: RunAction | None = None

    @property
    def state(self) -> str:
        """The scheduler's state: idle, waiting, retrying, running or blocked."""
        return type(self._state).__name__.lower()

    @property
    def running(self) -> bool:
        """Whether an action is under way."""
        return self._running is not None

    @property
    def settled(self) -> bool:
        """Whether nothing will happen unless a file changes."""
        return isinstance(self._state, scheduler.Idle | scheduler.Blocked)

    @property
    def wakes_at(self) -> float:
        """When `wake` is worth calling; inf: never."""
        return scheduler.wakes_at(self._state)

    def want(self, file: CommittedFile, at: float) -> None:
        """*file* was committed and is not served yet."""
        self._step(scheduler.Changed(at, _WANTED[file.kind]))

    def wake(self, at: float) -> list[RunAction]:
        """Return the action that starts now, if one does."""
        return self._step(scheduler.Due(at))

    def finished(self, result: ActionResult, at: float) -> tuple[ActionEnded, int | None]:
        """
        The action ended with *result*.

        Returns what to report, and up to which sequence every commit is
        served now (None: no news).
        """
        action = self._running
        if action is None:
            raise InvalidTransitionError(f"{result} of no action")
        self._running = None
        self._step(scheduler.Finished(at, _verdict(result)))
        due = self.wakes_at
        ended = ActionEnded(
            action=action.action,
            result=result,
            files=tuple(file.name for file in action.files),
            retry_in=None if due == inf else due - at,
        )
        return ended, action.id if isinstance(result, Served | Assumed) else None

    def _step(self, event: scheduler.Event) -> list[RunAction]:
        self._state, starts = scheduler.step(self._times, self._state, event)
        for start in starts:
            ledger = self._ledger()
            self._running = RunAction(
                id=ledger.sequence,
                action=start.action,
                files=ledger.needs,
                timeout=self._times.timeout,
            )
            return [self._running]
        return []


def _verdict(result: ActionResult) -> scheduler.Verdict:
    match result:
        case Served() | Assumed():
            return scheduler.Verdict.DONE
        case Unknown() | Unreachable():
            return scheduler.Verdict.TRANSIENT
        case Refused():
            return scheduler.Verdict.CONTENT
        case Misconfigured():  # pragma: no branch - nothing else is left.
            return scheduler.Verdict.OPERATOR
