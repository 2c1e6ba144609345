"""
Committed files become reloads and renews: few, never two at once, none forgotten.

Theory. A change waits until *quiet* seconds passed without another one, but
never longer than *max_wait* after the first. The strongest action that is
wanted runs and covers the weaker ones. An action covers only what was
committed before it started: a change that comes while it runs is written into
the state (`Running.pending`) and waits its own turn.

An action that failed is wanted again. After a passing failure it waits a
growing time, cut short by a new change, which may be the cure. Files that the
daemon refused are tried `_CONTENT_TRIES` times; then, and after a failure that
only the operator can mend, nothing happens until a file changes (`Blocked`).

Left out: which files an action covers (`_engine`), and how it is known to
have succeeded (`filesync.daemon`).
"""

from __future__ import annotations

import enum
from math import inf
from typing import Protocol

from attrs import evolve, frozen

from filesync.daemon import ActionKind
from filesync.exceptions import InvalidTransitionError

__all__ = [
    "Blocked",
    "Changed",
    "Due",
    "Finished",
    "Idle",
    "Pending",
    "Running",
    "ScheduleTimes",
    "Start",
    "State",
    "Verdict",
    "Waiting",
    "step",
    "wakes_at",
]

#: How often files that the daemon refused are tried before it is given up.
_CONTENT_TRIES = 2


class ScheduleTimes(Protocol):
    """Seconds; `filesync.Schedule` has the defaults."""

    @property
    def quiet(self) -> float:
        """Without a change before an action starts."""

    @property
    def max_wait(self) -> float:
        """From the first change to the action, at most."""

    @property
    def min_gap(self) -> float:
        """From the end of an action to the start of the next, at least."""

    @property
    def backoff(self) -> float:
        """Before the first repetition; doubled each time."""

    @property
    def max_backoff(self) -> float:
        """Before any repetition, at most."""


class Verdict(enum.Enum):
    """How an action ended, as far as the schedule is concerned."""

    DONE = "done"
    #: It may work later as it is.
    TRANSIENT = "transient"
    #: The daemon does not want these files.
    CONTENT = "content"
    #: Only the operator can mend it.
    OPERATOR = "operator"


# Events


@frozen
class Changed:
    """A file was committed that wants *action*."""

    at: float
    action: ActionKind


@frozen
class Due:
    """Time has passed; it is *at* now."""

    at: float


@frozen
class Finished:
    """The running action ended."""

    at: float
    verdict: Verdict


Event = Changed | Due | Finished


# Effects


@frozen
class Start:
    """Start *action* now; it ends in `Finished`."""

    action: ActionKind


# States


@frozen
class Pending:
    """What is wanted: the strongest action, the first and the last change."""

    action: ActionKind
    first: float
    last: float


@frozen
class Idle:
    """Nothing is wanted; nothing may start before *free_at*."""

    free_at: float = -inf


@frozen
class Waiting:
    """*pending* starts at *due*; *failures* and *refusals* went before."""

    pending: Pending
    due: float
    failures: int = 0
    refusals: int = 0


@frozen
class Running:
    """*covered* runs; *pending* came after it started."""

    covered: Pending
    pending: Pending | None = None
    failures: int = 0
    refusals: int = 0


@frozen
class Blocked:
    """*pending* failed and is not tried again until a file changes."""

    pending: Pending
    free_at: float


State = Idle | Waiting | Running | Blocked


def step(times: ScheduleTimes, state: State, event: Event) -> tuple[State, list[Start]]:
    """Return the next state and what to do about it. Touch nothing."""
    match state, event:
        case Idle(free_at), Changed(at, action):
            pending = Pending(action, at, at)
            return Waiting(pending, _deadline(times, pending, free_at)), []
        case Waiting(failures=0), Changed(at, action):
            pending = _merged(state.pending, Pending(action, at, at))
            # The gap to the last action was kept when *due* was set first.
            due = max(_deadline(times, pending, -inf), min(state.due, at))
            return evolve(state, pending=pending, due=due), []
        case Waiting(), Changed(at, action):
            pending = _merged(state.pending, Pending(action, at, at))
            return evolve(state, pending=pending, due=min(state.due, at + times.quiet)), []
        case Waiting(pending, due), Due(at) if at >= due:
            running = Running(pending, failures=state.failures, refusals=state.refusals)
            return running, [Start(pending.action)]
        case Running(pending=None), Changed(at, action):
            return evolve(state, pending=Pending(action, at, at)), []
        case Running(pending=Pending() as before), Changed(at, action):
            return evolve(state, pending=_merged(before, Pending(action, at, at))), []
        case Running(pending=None), Finished(at, Verdict.DONE):
            return Idle(at + times.min_gap), []
        case Running(pending=Pending() as pending), Finished(at, Verdict.DONE):
            return Waiting(pending, _deadline(times, pending, at + times.min_gap)), []
        case Running(), Finished(at, verdict):
            return _failed(times, state, at, verdict), []
        case Blocked(pending, free_at), Changed(at, action):
            fresh = Pending(action, at, at)
            return Waiting(_merged(pending, fresh), _deadline(times, fresh, free_at)), []
        case _, Due():  # Too early, or an alarm that was replaced.
            return state, []
        case _:
            raise InvalidTransitionError(f"{event} while {state}")


def wakes_at(state: State) -> float:
    """Return when `Due` is worth feeding; inf: never."""
    return state.due if isinstance(state, Waiting) else inf


def retry_delay(times: ScheduleTimes, failures: int) -> float:
    """Return how long to wait after the *failures*-th failure in a row, from 1."""
    return min(times.max_backoff, times.backoff * 2.0 ** min(failures - 1, 32))


def _failed(times: ScheduleTimes, state: Running, at: float, verdict: Verdict) -> State:
    refusals = state.refusals + (verdict is Verdict.CONTENT)
    failures = state.failures + 1
    free_at = at + times.min_gap
    hopeless = verdict is Verdict.OPERATOR or refusals >= _CONTENT_TRIES
    if state.pending is None:
        if hopeless:
            return Blocked(state.covered, free_at)
        due = at + retry_delay(times, failures)
        return Waiting(state.covered, due, failures, refusals)
    # A change came meanwhile: what failed goes with it, and may be cured by it.
    due = _deadline(times, state.pending, free_at)
    return Waiting(_merged(state.covered, state.pending), due, failures=0, refusals=0)


def _merged(one: Pending, other: Pending) -> Pending:
    strongest = max(one.action, other.action, key=lambda action: action.strength)
    return Pending(strongest, min(one.first, other.first), max(one.last, other.last))


def _deadline(times: ScheduleTimes, pending: Pending, free_at: float) -> float:
    return max(min(pending.last + times.quiet, pending.first + times.max_wait), free_at)
