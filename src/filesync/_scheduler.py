"""
Committed files become reloads and renews: few, never two at once, none forgotten.

Theory. A change waits until *quiet* seconds passed without another one, but
never longer than *max_wait* after the first. The strongest action that is
wanted runs and covers the weaker ones. An action covers only what was
committed before it started: a change that comes while it runs is written into
the state (`Running.pending`) and waits its own turn.

An action that failed is wanted again (`Retrying`), after a growing time. A
new change may be the cure: it cuts that wait short, never makes it longer.
Files that the daemon refused are tried `_CONTENT_TRIES` times; then, and after
a failure that only the operator can mend, nothing happens until a file changes
(`Blocked`).

Left out: which files an action covers (`_engine`), and how it is known to
have succeeded (`filesync.daemon`).
"""

from __future__ import annotations

import enum
from math import inf

from attrs import evolve

from filesync._settings import Schedule
from filesync._values import frozen
from filesync.daemon import ActionKind
from filesync.exceptions import InvalidTransitionError

__all__ = [
    "Blocked",
    "Changed",
    "Due",
    "Finished",
    "Idle",
    "Pending",
    "Retrying",
    "Running",
    "Start",
    "State",
    "Verdict",
    "Waiting",
    "step",
    "wakes_at",
]

#: How often files that the daemon refused are tried before it is given up.
_CONTENT_TRIES = 2


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
    """What is wanted: the strongest action, the first and the last change that count."""

    action: ActionKind
    first: float
    last: float


@frozen
class Idle:
    """Nothing is wanted; nothing may start before *free_at*."""

    free_at: float = -inf


@frozen
class Waiting:
    """*pending* starts at *due*: not before *free_at*, and else not after *latest*."""

    pending: Pending
    free_at: float
    due: float
    latest: float = inf


@frozen
class Retrying:
    """*pending* failed, *failures* times in a row, and is tried again at *due*."""

    pending: Pending
    free_at: float
    due: float
    failures: int
    refusals: int


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


State = Idle | Waiting | Retrying | Running | Blocked


def step(times: Schedule, state: State, event: Event) -> tuple[State, list[Start]]:
    """Return the next state and what to do about it. Touch nothing."""
    match state, event:
        case Idle(free_at), Changed(at, action):
            return _waiting(times, Pending(action, at, at), free_at), []
        case Waiting(pending, free_at, _, latest), Changed(at, action):
            return _waiting(times, _joined(pending, action, at), free_at, latest), []
        case Retrying(pending, free_at, due), Changed(at, action):
            # A new change may be the cure: it cuts the wait short, and has tries of its own.
            fresh = Pending(_stronger(pending.action, action), at, at)
            return _waiting(times, fresh, free_at, due), []
        case Blocked(pending, free_at), Changed(at, action):
            fresh = Pending(_stronger(pending.action, action), at, at)
            return _waiting(times, fresh, free_at), []
        case Waiting(pending, _, due), Due(at) if at >= due:
            return Running(pending), [Start(pending.action)]
        case Retrying(pending, _, due, failures, refusals), Due(at) if at >= due:
            return Running(pending, None, failures, refusals), [Start(pending.action)]
        case Running(pending=None), Changed(at, action):
            return evolve(state, pending=Pending(action, at, at)), []
        case Running(pending=Pending() as pending), Changed(at, action):
            return evolve(state, pending=_joined(pending, action, at)), []
        case Running(pending=None), Finished(at, Verdict.DONE):
            return Idle(at + times.min_gap), []
        case Running(pending=Pending() as pending), Finished(at, Verdict.DONE):
            return _waiting(times, pending, at + times.min_gap), []
        case Running(pending=None), Finished(at, verdict):
            return _failed(times, state, at, verdict), []
        case Running(covered, Pending() as pending), Finished(at, _):
            # What failed goes with what changed meanwhile, and may be cured by it.
            both = evolve(pending, action=_stronger(covered.action, pending.action))
            return _waiting(times, both, at + times.min_gap), []
        case _, Due():  # Too early, or an alarm that was replaced.
            return state, []
        case _:
            raise InvalidTransitionError(f"{event} while {state}")


def wakes_at(state: State) -> float:
    """Return when `Due` is worth feeding; inf: never."""
    return state.due if isinstance(state, Waiting | Retrying) else inf


def retry_delay(times: Schedule, failures: int) -> float:
    """Return how long to wait after the *failures*-th failure in a row, from 1."""
    return min(times.max_backoff, times.backoff * 2.0 ** min(failures - 1, 32))


def _failed(times: Schedule, state: Running, at: float, verdict: Verdict) -> State:
    refusals = state.refusals + (verdict is Verdict.CONTENT)
    failures = state.failures + 1
    free_at = at + times.min_gap
    if verdict is Verdict.OPERATOR or refusals >= _CONTENT_TRIES:
        return Blocked(state.covered, free_at)
    due = max(at + retry_delay(times, failures), free_at)
    return Retrying(state.covered, free_at, due, failures, refusals)


def _waiting(times: Schedule, pending: Pending, free_at: float, latest: float = inf) -> Waiting:
    quiet, longest = pending.last + times.quiet, pending.first + times.max_wait
    return Waiting(pending, free_at, max(min(quiet, longest, latest), free_at), latest)


def _joined(pending: Pending, action: ActionKind, at: float) -> Pending:
    return Pending(_stronger(pending.action, action), pending.first, at)


def _stronger(one: ActionKind, other: ActionKind) -> ActionKind:
    return max(one, other, key=lambda action: action.strength)
