"""The scheduler and a model of it, in any history."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from filesync import Schedule
from filesync._scheduler import (
    Blocked,
    Changed,
    Due,
    Event,
    Finished,
    Idle,
    Running,
    Start,
    State,
    Verdict,
    step,
    wakes_at,
)
from filesync.daemon import ActionKind
from filesync.exceptions import InvalidTransitionError
from support.pieces import examples

_SCHEDULES = (
    Schedule(),
    Schedule(quiet=0.0, max_wait=0.0, min_gap=0.0, backoff=0.5, max_backoff=0.5),
    Schedule(quiet=2.0, max_wait=3.0, min_gap=10.0, backoff=1.0, max_backoff=4.0),
    Schedule(quiet=5.0, max_wait=5.0, min_gap=0.0, backoff=20.0, max_backoff=100.0),
)
_PAUSES = st.sampled_from((0.0, 0.25, 0.75, 1.0, 2.5, 4.0, 5.0, 12.0, 70.0))


class Scheduling(RuleBasedStateMachine):
    """Changes, alarms and the ends of actions in any order, on a simulated clock."""

    times = Schedule()
    state: State = Idle()
    now = 0.0
    free_at = -inf
    #: When what failed is repeated; inf: never, or nothing failed.
    retry_at = inf
    #: Failures, and refusals among them, since anything changed or succeeded.
    failures = refusals = 0
    #: What failed will fail again until something changes.
    hopeless = False
    running: ActionKind | None = None
    covered = changes = successes = 0

    def __init__(self) -> None:
        super().__init__()
        #: What no successful action has covered, and what came since the last one started.
        self.unserved: list[Changed] = []
        self.fresh: list[Changed] = []

    def earliest(self) -> float:
        """Return before when nothing may start."""
        quiet_at = self.fresh[-1].at + self.times.quiet if self.fresh else inf
        return max(self.free_at, min(quiet_at, self.longest(), self.retry_at))

    def latest(self) -> float:
        """Return after when it is too late for what waits."""
        return max(self.free_at, min(self.longest(), self.retry_at))

    def longest(self) -> float:
        return self.fresh[0].at + self.times.max_wait if self.fresh else inf

    def feed(self, event: Event) -> None:
        self.state, starts = step(self.times, self.state, event)
        for start in starts:
            self.start(start)

    def start(self, start: Start) -> None:
        assert self.running is None, "two actions at once"
        assert self.unserved, "an action that nobody wants"
        assert self.earliest() <= self.now <= self.latest()
        strongest = max(change.action.strength for change in self.unserved)
        assert start.action.strength == strongest, "not the action that is wanted"
        self.running, self.covered, self.fresh = start.action, len(self.unserved), []
        self.retry_at = inf

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while wakes_at(self.state) < until:
            self.now = max(self.now, wakes_at(self.state))
            self.feed(Due(self.now))
        self.now = until

    def finish(self, verdict: Verdict) -> None:
        self.running = None
        self.free_at = self.now + self.times.min_gap
        if verdict is Verdict.DONE:
            del self.unserved[: self.covered]
            self.successes += 1
        if verdict is Verdict.DONE or self.fresh:
            self.failures = self.refusals = 0
        else:
            self.failures += 1
            self.refusals += verdict is Verdict.CONTENT
            self.hopeless = verdict is Verdict.OPERATOR or self.refusals == 2
            if not self.hopeless:
                delay = self.times.backoff * 2 ** (self.failures - 1)
                self.retry_at = self.now + min(delay, self.times.max_backoff)
        self.feed(Finished(self.now, verdict))

    @initialize(times=st.sampled_from(_SCHEDULES))
    def choose(self, times: Schedule) -> None:
        self.times = times

    @rule(seconds=_PAUSES, action=st.sampled_from(ActionKind))
    def change(self, seconds: float, action: ActionKind) -> None:
        self.pass_time(seconds)
        event = Changed(self.now, action)
        self.unserved.append(event)
        self.fresh.append(event)
        self.changes += 1
        self.failures = self.refusals = 0
        self.hopeless = False
        self.feed(event)

    @rule(seconds=_PAUSES, verdict=st.sampled_from(Verdict))
    def end(self, seconds: float, verdict: Verdict) -> None:
        self.pass_time(seconds)
        if self.running is not None:
            self.finish(verdict)
            return
        with pytest.raises(InvalidTransitionError):
            step(self.times, self.state, Finished(self.now, verdict))

    @rule(seconds=_PAUSES)
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)
        self.feed(Due(self.now))

    @rule()
    def all_goes_well(self) -> None:
        """Two actions that succeed serve everything."""
        if self.hopeless:
            self.change(0.0, ActionKind.RENEW)
        for _ in range(2):
            if self.running is None:
                self.pass_time(1e6)
            if self.running is not None:
                self.finish(Verdict.DONE)
        assert isinstance(self.state, Idle)
        assert not self.unserved, "a change was forgotten"

    @invariant()
    def no_wake_up_is_lost(self) -> None:
        waits = self.unserved and self.running is None and not self.hopeless
        assert not waits or self.now <= wakes_at(self.state) == self.earliest() <= self.latest()
        assert isinstance(self.state, Blocked) == self.hopeless
        assert isinstance(self.state, Running) == (self.running is not None)
        assert self.successes <= self.changes, "an action was wasted"


TestScheduling = Scheduling.TestCase
TestScheduling.settings = examples(600, steps=10)
