"""The committer and a model of it, in any history."""

from __future__ import annotations

from math import inf

from attrs import define
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from filesync._committer import Committer, Step
from filesync._model import Kind, Origin, TopicPartition, TransferKey
from filesync._outcomes import CommitParked, CommitRetried, Ending
from filesync._plan import Committed, Failed, Missing, PlanResult
from filesync._transfer import Whole
from support.committing import BROKEN, INVALID, LACKING, TORN, UNCHANGED, dropped, endings, visible
from support.pieces import P0, P1, examples, origin, whole

Ends = list[tuple[TransferKey, Ending]]

_NAMES = ("a.rpz", "b.rpz", "c.yaml")


@define
class Item:
    """A whole transfer without an outcome, as the model sees it."""

    done: Whole
    #: It has its turn after the data with smaller numbers.
    number: int
    due: float = -inf
    failures: int = 0
    void: bool = False
    #: Readers see it, and it is not recorded yet.
    visible: bool = False
    #: It waits for files that it names, until then.
    until: float = inf
    #: How many files had become visible when it started.
    seen: int = 0


class Committing(RuleBasedStateMachine):
    """Transfers become whole, plans start and end, logs start anew: in any order."""

    now = 0.0
    turn = came = shown = 0
    holding = True

    def __init__(self) -> None:
        super().__init__()
        self.committer = Committer(holding=True)
        #: By name: what waits for its turn, and what is visible and has to be recorded.
        self.queued: dict[str, Item] = {}
        self.recording: dict[str, Item] = {}
        self.running: dict[int, Item] = {}
        self.files: dict[str, Origin | None] = {}
        self.settled: set[TransferKey] = set()
        #: The last offset of each log.
        self.ends = {P0: 0, P1: 0}
        #: By name: since when configurations have waited for a version of that data file.
        self.since: dict[str, int] = {}

    # What may be

    def rivals(self, name: str) -> list[Origin]:
        """Return the origins that a new version of *name* has to be newer than."""
        mine = [
            item.done.origin
            for item in self.items()
            if item.done.target.name == name and not item.void
        ]
        known = self.files.get(name)
        return mine if known is None else [known, *mine]

    def items(self) -> list[Item]:
        """Return all that has no outcome."""
        return [*self.queued.values(), *self.recording.values(), *self.running.values()]

    def may_start(self, item: Item) -> bool:
        """Return whether *item*, which waits, is free to start."""
        name, kind = item.done.target.name, item.done.target.kind
        busy = any(other.done.target.name == name for other in self.running.values())
        before = min(self.since.values(), default=inf)
        ordered = kind is Kind.DATA or item.number < before
        first = self.recording.get(name, item) is item
        return not self.holding and item.due <= self.now and not busy and first and ordered

    # What happens

    def follow(self, steps: list[Step], *, parked: bool = False) -> Ends:
        """Check that outcomes come once; return them."""
        ended = endings(steps)
        for key, _ in ended:
            assert key not in self.settled, "two outcomes"
            self.settled.add(key)
        # A lane removes the bytes of the plans that it carries out.
        unwanted = {Ending.SUPERSEDED, Ending.AMBIGUOUS}
        if parked:  # Its lane kept them.
            unwanted.add(Ending.INVALID)
        assert dropped(steps) == [key for key, ending in ended if ending in unwanted]
        return ended

    def start_one(self) -> bool:
        places = (self.recording, self.queued)
        free = {
            item.done.key: place
            for place in places
            for item in place.values()
            if self.may_start(item)
        }
        turn = self.committer.next(self.now)
        if turn is None:
            assert not free, "somebody whose turn it is does not start"
            return False
        assert turn.key in free, "not its turn"
        item = free[turn.key].pop(turn.target.name)
        assert turn == item.done
        item.seen = self.shown
        plan = self.committer.started(turn)
        assert plan not in self.running
        self.running[plan] = item
        return True

    def finish(self, plan: int, result: PlanResult) -> None:
        item = self.running.pop(plan)
        name = item.done.target.name
        newer = self.queued.get(name)
        steps = self.committer.ended(plan, result, self.now)
        ended = self.follow(steps, parked=isinstance(result, Missing))
        if isinstance(result, Missing):
            self.park(item, newer, steps, ended)
            return
        if isinstance(result, Failed):
            if newer is not None and not result.visible:
                assert ended == [(item.done.key, Ending.SUPERSEDED)]
                return
            assert ended == []
            [told] = steps
            assert isinstance(told, CommitRetried)
            assert told.retry_in == min(60, 2**item.failures)
            item.due, item.failures = self.now + told.retry_in, item.failures + 1
            item.visible = result.visible
            (self.recording if item.visible else self.queued)[name] = item
            return
        ending = Ending.COMMITTED if isinstance(result, Committed) else result.ending
        assert ended == [(item.done.key, ending)]
        if isinstance(result, Committed):
            self.shown += 1
            for other in self.queued.values():
                if other.until < inf:
                    other.due = min(other.until, self.now + 0.5)
        if result != INVALID:
            self.files[name] = None if item.void else item.done.origin
        self.since.pop(name, None)
        if newer is not None and newer.done.target.kind is Kind.DATA:
            self.since[name] = newer.number

    def park(self, item: Item, newer: Item | None, steps: list[Step], ended: Ends) -> None:
        """State what becomes of *item*, which lacks files that it names."""
        if newer is not None:
            assert ended == [(item.done.key, Ending.SUPERSEDED)]
            return
        if item.until <= self.now:
            assert ended == [(item.done.key, Ending.INVALID)]
            return
        told = [] if item.until < inf else [CommitParked]
        assert [type(step) for step in steps] == told
        item.until = min(item.until, self.now + 60)
        came = item.seen != self.shown
        item.due = min(item.until, self.now + 0.5) if came else item.until
        self.queued[item.done.target.name] = item

    # Rules

    @initialize(holding=st.sampled_from([False, False, True]))
    def begin(self, holding: bool) -> None:
        self.holding = holding
        self.committer = Committer(holding=holding)

    @rule(
        name=st.sampled_from(_NAMES),
        source=st.sampled_from([P0, P0, P1]),
        back=st.sampled_from([0, 0, 0, 2, 5]),
        timed=st.booleans(),
        generation=st.sampled_from([None, None, None, 1, 2]),
    )
    def become_whole(
        self, name: str, source: TopicPartition, back: int, timed: bool, generation: int | None
    ) -> None:
        self.turn += 1
        self.came += 1
        self.ends[source] += 1
        timestamp = float(self.turn - back) if timed else None
        offset = max(0, self.ends[source] - back)
        started = origin(offset, source, timestamp=timestamp, generation=generation)
        done = whole(name, started, turn=self.turn)
        ages = {started.age_against(rival) for rival in self.rivals(name)}
        before = self.queued.get(name)
        ended = self.follow(self.committer.add(done))
        if ages & {-1, None}:
            fair = {Ending.SUPERSEDED} if None not in ages else {Ending.AMBIGUOUS}
            fair |= {Ending.SUPERSEDED} if -1 in ages else set()
            assert [key for key, _ in ended] == [done.key]
            assert ended[0][1] in fair
            return
        assert ended == ([] if before is None else [(before.done.key, Ending.SUPERSEDED)])
        self.queued[name] = Item(done=done, number=self.turn)
        if done.target.kind is Kind.DATA:
            self.since.setdefault(name, self.turn)

    @rule(
        seconds=st.sampled_from([0.0, 0.0, 0.5, 1.0, 8.0, 60.0]),
        most=st.integers(0, 3),
        which=st.integers(0, 3),
        how=st.sampled_from(["fine", "same", "refused", "broken", "broken", "torn", "lacking"]),
    )
    def start_and_end(self, seconds: float, most: int, which: int, how: str) -> None:
        self.now += seconds
        while most and self.start_one():
            most -= 1
        if self.running:
            plan = sorted(self.running)[which % len(self.running)]
            item = self.running[plan]
            results: dict[str, PlanResult] = {
                "same": UNCHANGED,
                "refused": INVALID,
                "broken": BROKEN,
                "torn": TORN,
            }
            if how == "lacking" and item.done.target.kind is Kind.CONFIG:
                results["lacking"] = LACKING
            if item.visible and how in {"refused", "broken", "lacking"}:
                how = "torn"  # Readers see it, whatever comes.
            self.finish(plan, results.get(how) or visible(item.done))

    @rule(what=st.sampled_from(["wait", P0, P1, "release", "all goes well"]))
    def interfere(self, what: str | TopicPartition) -> None:
        match what:
            case TopicPartition():
                self.forget(what)
            case "release":
                self.release()
            case "wait":
                self.now += 60
            case _:
                self.all_goes_well()

    def forget(self, source: TopicPartition) -> None:
        self.committer.forget(source)
        self.ends[source] = 0
        for item in self.items():
            item.void |= item.done.origin.source == source
        for name, known in self.files.items():
            if known is not None and known.source == source:
                self.files[name] = None

    def release(self) -> None:
        self.committer.release()
        self.holding = False
        self.turn += 1
        for item in self.queued.values():
            if item.done.target.kind is Kind.CONFIG and not item.failures:
                item.number = self.turn

    def all_goes_well(self) -> None:
        """What is whole gets its turn when no plan fails any more."""
        self.release()
        for _ in range(3 * len(_NAMES)):
            while self.start_one():
                pass
            for plan, item in list(self.running.items()):
                self.finish(plan, visible(item.done))
            self.now = max(self.now, min(self.committer.wakes_after(self.now), self.now + 60))
        assert not self.items()
        assert self.committer.unfinished == 0
        assert len(self.settled) == self.came, "not every transfer has an outcome"

    @invariant()
    def all_are_counted(self) -> None:
        committer = self.committer
        waiting = len(self.queued) + len(self.recording)
        assert committer.running == len(self.running)
        assert committer.held == (waiting if self.holding else 0)
        assert committer.unfinished + committer.held == len(self.items())
        dues = [item.due for item in self.items() if item.due > self.now]
        assert committer.wakes_after(self.now) == min(dues, default=inf)


TestCommitting = Committing.TestCase
TestCommitting.settings = examples(250, steps=20)
