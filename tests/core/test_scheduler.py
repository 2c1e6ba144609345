"""When reloads and renews start: the scheduler's transitions."""

from __future__ import annotations

from math import inf

import pytest

from filesync import Schedule
from filesync._scheduler import (
    Blocked,
    Changed,
    Due,
    Event,
    Finished,
    Idle,
    Retrying,
    State,
    Verdict,
    retry_delay,
    step,
    wakes_at,
)
from filesync.daemon import ActionKind
from filesync.exceptions import InvalidTransitionError

RENEW, RELOAD = ActionKind.RENEW, ActionKind.RELOAD
DONE, TRANSIENT = Verdict.DONE, Verdict.TRANSIENT
CONTENT, OPERATOR = Verdict.CONTENT, Verdict.OPERATOR

#: quiet 5, max wait 30, min gap 1, backoff 2 to 60.
TIMES = Schedule()


def after(*events: Event, times: Schedule = TIMES, state: State | None = None) -> State:
    """Return the state after *events*."""
    state = Idle() if state is None else state
    for event in events:
        state, _ = step(times, state, event)
    return state


def started(state: State, at: float, times: Schedule = TIMES) -> ActionKind | None:
    """Return what the alarm at *at* starts."""
    _, starts = step(times, state, Due(at))
    assert len(starts) < 2, "two actions at once"
    return starts[0].action if starts else None


def failing(*verdicts: Verdict, times: Schedule = TIMES) -> State:
    """Return the state after a change at 0 the actions of which end, at once, in *verdicts*."""
    state = after(Changed(0, RENEW), times=times)
    for verdict in verdicts:
        at = wakes_at(state)
        state = after(Due(at), Finished(at, verdict), times=times, state=state)
    return state


# Quiet, and no longer than the longest wait


def test_an_action_starts_after_quiet_seconds() -> None:
    """One change: nothing before five seconds have passed, then its action."""
    state = after(Changed(10, RENEW))
    assert wakes_at(state) == 15
    assert started(state, 14.9) is None
    assert started(state, 15) is RENEW
    assert started(state, 99) is RENEW, "a late alarm is as good"


def test_another_change_starts_the_quiet_seconds_anew() -> None:
    """The last change counts."""
    state = after(Changed(0, RENEW), Changed(4, RENEW))
    assert started(state, 8.9) is None
    assert started(state, 9) is RENEW


def test_a_trickle_of_changes_waits_no_longer_than_max_wait() -> None:
    """Changes that never stop do not put the action off for ever."""
    state = after(*(Changed(at, RENEW) for at in range(60)))
    assert wakes_at(state) == 30


def test_a_change_after_the_longest_wait_leaves_the_action_due() -> None:
    """The alarm is late, changes go on: the action stays due."""
    state = after(Changed(0, RENEW), *(Changed(at, RENEW) for at in range(4, 40, 4)))
    assert started(state, 36) is RENEW


def test_without_quiet_seconds_an_action_starts_at_once() -> None:
    """Quiet 0: the alarm is set to the instant of the change."""
    times = Schedule(quiet=0.0, max_wait=0.0)
    assert started(after(Changed(3, RENEW), times=times), 3, times) is RENEW


def test_the_alarm_is_set_only_while_something_waits() -> None:
    """Idle, running and blocked have nothing to wake up for."""
    running = after(Changed(0, RENEW), Due(5))
    assert wakes_at(Idle()) == inf
    assert wakes_at(running) == inf
    assert wakes_at(after(Finished(6, OPERATOR), state=running)) == inf


# The gap between two actions


def test_the_next_action_keeps_the_gap() -> None:
    """A change right after an action, and no quiet seconds: the gap is kept."""
    times = Schedule(quiet=0.0, min_gap=7.0)
    state = after(Changed(0, RENEW), Due(0), Finished(1, DONE), Changed(2, RENEW), times=times)
    assert wakes_at(state) == 8


def test_a_change_during_a_long_action_keeps_the_gap() -> None:
    """What waited longest while an action ran starts when the gap is over, not before."""
    state = after(Changed(0, RENEW), Due(5), Changed(6, RENEW), Finished(60, DONE))
    assert wakes_at(state) == 61


def test_a_second_change_keeps_the_gap() -> None:
    """The gap holds for a pending action however many changes join it."""
    times = Schedule(quiet=2.0, min_gap=10.0)
    ended = after(Changed(0, RENEW), Due(2), Finished(3, DONE), times=times)
    state = after(Changed(4, RENEW), Changed(5, RENEW), times=times, state=ended)
    assert wakes_at(state) == 13


def test_a_change_after_a_long_action_keeps_the_gap() -> None:
    """The longest wait was over while the action ran: the gap is kept all the same."""
    state = after(
        Changed(0, RENEW), Due(5), Changed(6, RENEW), Finished(60, DONE), Changed(60.5, RENEW)
    )
    assert wakes_at(state) == 61


@pytest.mark.parametrize("changes", [(), (3.5,), (3.5, 3.75)])
def test_a_repetition_keeps_the_gap(changes: tuple[float, ...]) -> None:
    """A backoff, or a change that cuts it short, does not come sooner than the gap allows."""
    times = Schedule(quiet=0.0, min_gap=10.0, backoff=1.0)
    failed = after(Changed(0, RENEW), Due(0), Finished(3, TRANSIENT), times=times)
    state = after(*(Changed(at, RENEW) for at in changes), times=times, state=failed)
    assert wakes_at(state) == 13


def test_a_change_that_unblocks_keeps_the_gap() -> None:
    """A change right after the failure of the operator waits for the gap."""
    times = Schedule(quiet=0.0, min_gap=10.0)
    state = after(Changed(0, RENEW), Due(0), Finished(3, OPERATOR), Changed(4, RENEW), times=times)
    assert wakes_at(state) == 13


# The strongest kind, and what it covers


@pytest.mark.parametrize("kinds", [(RENEW, RELOAD), (RELOAD, RENEW), (RELOAD, RELOAD, RENEW)])
def test_a_reload_covers_a_renew(kinds: tuple[ActionKind, ...]) -> None:
    """Whatever came first: one action, the strongest."""
    state = after(*(Changed(0, kind) for kind in kinds))
    assert started(state, 5) is RELOAD
    assert isinstance(after(Due(5), Finished(6, DONE), state=state), Idle)


def test_renews_alone_are_a_renew() -> None:
    """Nobody asked for a reload."""
    assert started(after(Changed(0, RENEW), Changed(1, RENEW)), 6) is RENEW


def test_a_change_while_an_action_runs_waits_its_own_turn() -> None:
    """It is not covered by what was started before it; its quiet seconds are its own."""
    running = after(Changed(0, RENEW), Due(5), Changed(7, RELOAD))
    assert started(running, 50) is None, "two actions at once"
    state = after(Finished(8, DONE), state=running)
    assert wakes_at(state) == 12
    assert started(state, 12) is RELOAD


def test_changes_while_an_action_runs_are_joined() -> None:
    """The strongest of them, and the quiet seconds of the last."""
    state = after(
        Changed(0, RENEW),
        Due(5),
        Changed(6, RELOAD),
        Changed(10, RENEW),
        Finished(11, DONE),
    )
    assert wakes_at(state) == 15
    assert started(state, 15) is RELOAD


def test_what_was_covered_does_not_come_back() -> None:
    """A renew that is wanted while a reload runs stays a renew."""
    state = after(Changed(0, RELOAD), Due(5), Changed(6, RENEW), Finished(7, DONE))
    assert started(state, 99) is RENEW


# Failures


def test_a_passing_failure_is_repeated_with_growing_delay() -> None:
    """2, 4, 8 … seconds, at most 60, the same action each time."""
    state = after(Changed(0, RELOAD))
    delays = []
    for _ in range(8):
        due = wakes_at(state)
        assert started(state, due) is RELOAD
        state = after(Due(due), Finished(due + 3, TRANSIENT), state=state)
        delays.append(wakes_at(state) - (due + 3))
    assert delays == [2, 4, 8, 16, 32, 60, 60, 60]


def test_the_delay_has_a_limit_however_long_it_fails() -> None:
    """Weeks of failures overflow nothing."""
    assert retry_delay(TIMES, 1) == 2
    assert retry_delay(TIMES, 10**9) == 60


def test_a_success_forgets_the_failures() -> None:
    """The first failure after a success waits the first delay."""
    state = failing(TRANSIENT, TRANSIENT, DONE)
    at = wakes_at(after(Changed(1000, RENEW), state=state))
    state = after(Changed(1000, RENEW), Due(at), Finished(at, TRANSIENT), state=state)
    assert wakes_at(state) == at + 2


def test_a_new_change_cuts_the_delay_short() -> None:
    """It may be the cure: five quiet seconds instead of a minute."""
    state = failing(*[TRANSIENT] * 6)
    last = wakes_at(state) - 60
    state = after(Changed(last + 10, RENEW), state=state)
    assert wakes_at(state) == last + 15


def test_a_new_change_never_lengthens_the_delay() -> None:
    """A repetition that is due sooner than the quiet seconds end stays due."""
    state = failing(TRANSIENT)
    assert wakes_at(state) == 7
    assert wakes_at(after(Changed(6, RENEW), state=state)) == 7


def test_a_repetition_has_the_strength_of_all_that_waits() -> None:
    """A renew failed, a reload is wanted meanwhile: the repetition is a reload."""
    state = after(Changed(6, RELOAD), state=failing(TRANSIENT))
    assert started(state, 7) is RELOAD


def test_what_failed_goes_with_a_change_that_came_meanwhile() -> None:
    """The failed reload is not forgotten, and waits only the quiet seconds of the change."""
    state = after(Changed(0, RELOAD), Due(5), Changed(6, RENEW), Finished(8, TRANSIENT))
    assert wakes_at(state) == 11
    assert started(state, 11) is RELOAD


def test_refused_files_are_tried_twice() -> None:
    """Once more after a delay, then not until a file changes."""
    once = failing(CONTENT)
    assert wakes_at(once) == 7
    assert isinstance(failing(CONTENT, CONTENT), Blocked)


def test_refusals_count_across_passing_failures() -> None:
    """A time-out in between is no reason to try refused files for ever."""
    assert isinstance(failing(CONTENT, TRANSIENT), Retrying)
    assert isinstance(failing(CONTENT, TRANSIENT, CONTENT), Blocked)
    assert isinstance(failing(TRANSIENT, TRANSIENT, CONTENT), Retrying)


def test_a_success_forgets_the_refusals() -> None:
    """The next files have two tries of their own."""
    state = failing(CONTENT, DONE)
    at = wakes_at(after(Changed(1000, RENEW), state=state))
    state = after(Changed(1000, RENEW), Due(at), Finished(at, CONTENT), state=state)
    assert isinstance(state, Retrying)


def test_changed_files_have_two_tries_of_their_own() -> None:
    """A refusal counts against the files that were refused, not against newer ones."""
    state = after(Changed(5.5, RENEW), state=failing(CONTENT))
    at = wakes_at(state)
    assert isinstance(after(Due(at), Finished(at, CONTENT), state=state), Retrying)


def test_a_failure_for_the_operator_blocks_at_once() -> None:
    """No repetition helps against a missing program."""
    state = failing(OPERATOR)
    assert isinstance(state, Blocked)
    assert started(state, 1e9) is None


@pytest.mark.parametrize("verdict", [CONTENT, OPERATOR])
def test_a_change_that_came_meanwhile_prevents_the_block(verdict: Verdict) -> None:
    """The running action failed for good, but newer files wait: they are tried."""
    state = after(Due(7), Changed(8, RENEW), Finished(9, verdict), state=failing(CONTENT))
    assert wakes_at(state) == 13
    state = after(Due(13), Finished(14, CONTENT), state=state)
    assert isinstance(state, Retrying), "they have two tries of their own"


def test_a_change_ends_the_block_and_what_failed_goes_with_it() -> None:
    """After quiet seconds, with the strength of all that waits."""
    blocked = after(Changed(0, RELOAD), Due(5), Finished(6, OPERATOR))
    state = after(Changed(1000, RENEW), state=blocked)
    assert wakes_at(state) == 1005
    assert started(state, 1005) is RELOAD


def test_a_burst_that_ends_a_block_is_one_action() -> None:
    """The quiet seconds count from the last of the new changes, however old the failed one is."""
    state = after(Changed(1000, RENEW), Changed(1002, RENEW), state=failing(OPERATOR))
    assert wakes_at(state) == 1007


def test_a_burst_after_a_failure_is_one_action() -> None:
    """What failed long ago does not make the longest wait of new changes end sooner."""
    failed = after(Changed(0, RENEW), Due(5), Changed(100, RENEW), Finished(101, TRANSIENT))
    assert wakes_at(failed) == 105
    assert wakes_at(after(Changed(102, RENEW), state=failed)) == 107


def test_the_longest_wait_of_a_burst_that_ends_a_block_counts_from_its_first_change() -> None:
    """A trickle after the block is put off for max wait, no longer."""
    changes = (Changed(at, RENEW) for at in range(1000, 1060))
    assert wakes_at(after(*changes, state=failing(OPERATOR))) == 1030


# Events that mean nothing, and events that are forbidden


@pytest.mark.parametrize(
    "state",
    [
        Idle(),
        Idle(9.0),
        after(Changed(10, RENEW)),
        failing(TRANSIENT),
        after(Changed(0, RENEW), Due(5)),
        after(Changed(0, RENEW), Due(5), Changed(6, RELOAD)),
        failing(OPERATOR),
    ],
    ids=lambda state: type(state).__name__,
)
def test_an_alarm_that_was_replaced_changes_nothing(state: State) -> None:
    """Too early, or while nothing waits: the state stays as it is, nothing starts."""
    assert step(TIMES, state, Due(6.5)) == (state, [])


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize(
    "state",
    [
        Idle(),
        failing(DONE),
        after(Changed(1, RENEW), Changed(2, RENEW)),
        failing(CONTENT),
        failing(OPERATOR),
    ],
    ids=lambda state: type(state).__name__,
)
def test_an_end_without_a_start_raises(state: State, verdict: Verdict) -> None:
    """What does not run cannot end: that is a bug of ours, and is told as one."""
    with pytest.raises(InvalidTransitionError, match="Finished"):
        step(TIMES, state, Finished(5, verdict))


def test_an_action_ends_once() -> None:
    """The second end of one action is forbidden."""
    state = after(Changed(0, RENEW), Due(5), Finished(6, DONE))
    with pytest.raises(InvalidTransitionError):
        step(TIMES, state, Finished(6, DONE))
