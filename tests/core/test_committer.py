"""Which whole transfer becomes visible, and when: the committer, and what holds for any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

import pytest
from attrs import define, evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from filesync._committer import Committer, Settled, Step
from filesync._effects import DropTransfer
from filesync._model import CommittedFile, Kind, Origin, TopicPartition, TransferKey
from filesync._outcomes import CommitRetried, Ending
from filesync._plan import Committed, Failed, NotCommitted, PlanResult
from filesync._transfer import Whole
from support.pieces import P0, P1, examples, origin, whole

BROKEN = Failed(detail="read-only file system")
INVALID = NotCommitted(ending=Ending.INVALID, detail="line 3: no such option")
#: Readers see the file, but nobody could write that down.
TORN = Failed(detail="input/output error", visible=True)
UNCHANGED = NotCommitted(ending=Ending.UNCHANGED)


def file_of(done: Whole) -> CommittedFile:
    """Return the version of a file that *done* becomes."""
    name, kind = done.target.name, done.target.kind
    digest = b"\0" * 32
    return CommittedFile(
        name=name, kind=kind, digest=digest, size=1, sequence=1, origin=done.origin
    )


def visible(done: Whole) -> Committed:
    """Return how a plan ends that makes *done* visible."""
    return Committed(file=file_of(done))


def start(committer: Committer, at: float = 0.0) -> dict[str, int]:
    """Start all that may start; return the plans by name, in order."""
    plans = {}
    while (turn := committer.next(at)) is not None:
        plans[turn.target.name] = committer.started(turn)
    return plans


def endings(steps: Iterable[Step]) -> list[tuple[TransferKey, Ending]]:
    """Return which transfers ended, and how."""
    return [(step.key, step.outcome.ending) for step in steps if isinstance(step, Settled)]


def dropped(steps: Iterable[Step]) -> list[TransferKey]:
    """Return of which transfers the bytes are removed."""
    return [step.transfer for step in steps if isinstance(step, DropTransfer)]


def failed(name: str, started: Origin, times: int = 1) -> tuple[Committer, Whole]:
    """Return a committer in which *name* waits to be tried again."""
    committer, done = Committer(holding=False), whole(name, started)
    committer.add(done)
    for _ in range(times):
        plan = start(committer, inf)[name]
        assert not endings(committer.ended(plan, BROKEN, 0.0))
    return committer, done


# Which version is newer


def _known(rival: Whole) -> Committer:
    committer = Committer(holding=False)
    committer.know({rival.target.name: file_of(rival)})
    return committer


def _committed(rival: Whole) -> Committer:
    committer = _running(rival)
    committer.ended(1, visible(rival), 0.0)
    return committer


def _running(rival: Whole) -> Committer:
    committer = _waiting(rival)
    assert start(committer) == {rival.target.name: 1}
    return committer


def _waiting(rival: Whole) -> Committer:
    committer = Committer(holding=False)
    assert committer.add(rival) == []
    return committer


def _held(rival: Whole) -> Committer:
    committer = Committer(holding=True)
    assert committer.add(rival) == []
    return committer


def _retrying(rival: Whole) -> Committer:
    committer = _running(rival)
    committer.ended(1, BROKEN, 0.0)
    return committer


_PLACES = [_known, _committed, _running, _waiting, _held, _retrying]


@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize("name", ["a.rpz", "c.yaml"])
@pytest.mark.parametrize(
    ("rival", "challenger", "ending"),
    [
        pytest.param(origin(5), origin(3), Ending.SUPERSEDED, id="older"),
        pytest.param(origin(5), origin(7), None, id="newer"),
        pytest.param(
            origin(5, timestamp=9.0),
            origin(8, P1, timestamp=4.0),
            Ending.SUPERSEDED,
            id="older-elsewhere",
        ),
        pytest.param(
            origin(5, timestamp=4.0), origin(3, P1, timestamp=9.0), None, id="newer-elsewhere"
        ),
        pytest.param(
            origin(5, timestamp=4.0),
            origin(7, P1, timestamp=4.0),
            Ending.AMBIGUOUS,
            id="same-time-elsewhere",
        ),
        pytest.param(origin(5), origin(7, P1), Ending.AMBIGUOUS, id="no-time-elsewhere"),
        pytest.param(
            origin(5, generation=2),
            origin(7, generation=1),
            Ending.SUPERSEDED,
            id="generation-less",
        ),
        pytest.param(
            origin(7, generation=1), origin(5, generation=2), None, id="generation-greater"
        ),
        pytest.param(
            origin(7, generation=1),
            origin(5, generation=1),
            Ending.SUPERSEDED,
            id="older-of-one-generation",
        ),
        pytest.param(origin(7, generation=1), origin(5), Ending.SUPERSEDED, id="generation-or-not"),
    ],
)
def test_an_older_version_is_never_taken(
    place: Callable[[Whole], Committer],
    name: str,
    rival: Origin,
    challenger: Origin,
    ending: Ending | None,
) -> None:
    """Whatever became of the other version: the newer one wins, a doubtful one is refused."""
    old, new = whole(name, rival), whole(name, challenger, turn=1)
    committer = place(old)
    steps = committer.add(new)
    if ending is not None:
        assert endings(steps) == [(new.key, ending)]
        assert dropped(steps) == [new.key]
    elif place in (_waiting, _held, _retrying):
        assert endings(steps) == [(old.key, Ending.SUPERSEDED)]
        assert dropped(steps) == [old.key]
    else:
        assert steps == []


@pytest.mark.parametrize("place", [_known, _committed])
def test_the_visible_version_may_come_again(place: Callable[[Whole], Committer]) -> None:
    """Read again after a crash: its plan will find it unchanged."""
    again = whole("a.rpz", origin(5))
    committer = place(again)
    assert committer.add(again) == []
    assert committer.next(0.0) == again


def test_versions_of_different_files_do_not_compete() -> None:
    """Each file has its own order."""
    committer = _known(whole("a.rpz", origin(5)))
    assert committer.add(whole("b.rpz", origin(3))) == []


def test_a_file_of_a_log_that_is_gone_has_no_age() -> None:
    """The journal knows the file, but not where it came from: whatever comes is newer."""
    committer = Committer(holding=False)
    committer.know({"a.rpz": evolve(file_of(whole("a.rpz", origin(5))), origin=None)})
    assert committer.add(whole("a.rpz", origin(0, P1))) == []


def test_an_outcome_says_what_to_do_and_what_it_was_about() -> None:
    """A refused transfer names the version that stands in its way."""
    committer = _known(whole("a.rpz", origin(5)))
    older = committer.add(whole("a.rpz", origin(3), size=7))[-1]
    doubtful = committer.add(whole("a.rpz", origin(9, P1)))[-1]
    assert isinstance(older, Settled)
    assert isinstance(doubtful, Settled)
    assert (older.sources, older.file) == ((P0,), None)
    assert (older.outcome.name, older.outcome.origin) == ("a.rpz", origin(3))
    assert older.outcome.size == 7
    assert "files[0]@5" in older.outcome.detail
    assert "send the file again" in doubtful.outcome.detail


# One at a time


def test_of_one_file_one_commit_is_under_way() -> None:
    """The newer version waits until the older one's plan has ended; other files do not."""
    committer = _running(whole("a.rpz", origin(1)))
    newer = whole("a.rpz", origin(2))
    committer.add(newer)
    committer.add(whole("b.rpz", origin(3)))
    assert start(committer) == {"b.rpz": 2}
    committer.ended(1, visible(whole("a.rpz", origin(1))), 0.0)
    assert committer.next(0.0) == newer


def test_behind_the_running_version_waits_only_the_newest() -> None:
    """The one between is superseded."""
    committer = _running(whole("a.rpz", origin(1)))
    between, newest = whole("a.rpz", origin(2)), whole("a.rpz", origin(3))
    assert committer.add(between) == []
    assert endings(committer.add(newest)) == [(between.key, Ending.SUPERSEDED)]
    committer.ended(1, INVALID, 0.0)
    assert committer.next(0.0) == newest


def test_plans_have_numbers_of_their_own() -> None:
    """What ends is what was started under that number."""
    committer = Committer(holding=False)
    first, second = whole("a.rpz", origin(1)), whole("b.rpz", origin(2))
    committer.add(first)
    committer.add(second)
    plans = start(committer)
    assert endings(committer.ended(plans["b.rpz"], visible(second), 0.0)) == [
        (second.key, Ending.COMMITTED)
    ]
    assert endings(committer.ended(plans["a.rpz"], INVALID, 0.0)) == [(first.key, Ending.INVALID)]


def test_what_became_visible_is_told_with_its_file() -> None:
    """The file goes with the outcome, for the ledger and the scheduler."""
    done = whole("a.rpz", origin(1), size=42)
    [step] = _running(done).ended(1, visible(done), 0.0)
    assert isinstance(step, Settled)
    assert (step.file, step.visible) == (file_of(done), done.origin)
    assert (step.outcome.detail, step.outcome.size, step.sources) == ("", 42, (P0,))


def test_a_verdict_is_told_with_its_reason() -> None:
    """A plan that ended without a file: why; its lane has removed the bytes."""
    [step] = _running(whole("c.yaml", origin(1))).ended(1, INVALID, 0.0)
    assert isinstance(step, Settled)
    assert (step.outcome.ending, step.outcome.detail) == (Ending.INVALID, INVALID.detail)
    assert (step.file, step.visible) == (None, None)


@pytest.mark.parametrize("result", [INVALID, UNCHANGED, BROKEN], ids=lambda end: type(end).__name__)
def test_only_a_version_that_is_in_place_counts_as_visible(result: PlanResult) -> None:
    """Unchanged: the bytes are there, and as new as what was sent. Refused: they are not."""
    committer = _running(whole("a.rpz", origin(5)))
    steps = committer.ended(1, result, 0.0)
    places = [step.visible for step in steps if isinstance(step, Settled)]
    assert places == {INVALID: [None], UNCHANGED: [origin(5)], BROKEN: []}[result]
    older = whole("a.rpz", origin(3))
    ended = [] if result is INVALID else [(older.key, Ending.SUPERSEDED)]
    assert endings(committer.add(older)) == ended


@pytest.mark.parametrize("plan", [0, 2])
def test_a_plan_that_was_not_started_cannot_end(plan: int) -> None:
    """That is a bug of ours: it raises and changes nothing."""
    committer = _running(whole("a.rpz", origin(1)))
    with pytest.raises(KeyError):
        committer.ended(plan, BROKEN, 0.0)
    assert (committer.running, committer.unfinished) == (1, 1)


def test_a_transfer_that_does_not_wait_cannot_start() -> None:
    """The same."""
    committer = Committer(holding=False)
    with pytest.raises(KeyError):
        committer.started(whole("a.rpz", origin(1)))
    assert (committer.running, committer.unfinished) == (0, 0)


def test_a_lane_is_given_only_so_much() -> None:
    """Sixteen plans per lane are under way; each that ends lets one more start."""
    committer = Committer(holding=False)
    for number in range(40):
        committer.add(whole(f"{number}.yaml", origin(number)))
    for number in range(40):
        committer.add(whole(f"{number}.rpz", origin(40 + number)))
    plans = start(committer)
    assert list(plans) == [f"{n}.rpz" for n in range(16)] + [f"{n}.yaml" for n in range(16)]
    committer.ended(plans["3.yaml"], INVALID, 0.0)
    assert list(start(committer)) == ["16.yaml"]
    committer.ended(plans["5.rpz"], INVALID, 0.0)
    assert list(start(committer)) == ["16.rpz"]
    assert (committer.running, committer.unfinished, committer.held) == (32, 78, 0)


# Data before configuration


def test_a_configuration_waits_for_the_data_before_it() -> None:
    """It starts when the last data file that was whole before it has ended, however it did."""
    committer = Committer(holding=False)
    for number, name in enumerate(["a.rpz", "b.rpz", "c.yaml", "d.rpz"]):
        committer.add(whole(name, origin(number)))
    plans = start(committer)
    assert list(plans) == ["a.rpz", "b.rpz", "d.rpz"]
    committer.ended(plans["b.rpz"], INVALID, 0.0)
    assert start(committer) == {}
    committer.ended(plans["a.rpz"], visible(whole("a.rpz", origin(0))), 0.0)
    assert list(start(committer)) == ["c.yaml"], "d.rpz came later"


def test_a_configuration_waits_for_data_that_has_not_started() -> None:
    """The lane is full: the data file has its turn first all the same."""
    committer = Committer(holding=False)
    for number in range(17):
        committer.add(whole(f"{number}.rpz", origin(number)))
    committer.add(whole("c.yaml", origin(99)))
    plans = start(committer)
    for name in list(plans):
        committer.ended(plans[name], INVALID, 0.0)
        plans |= start(committer)
    assert list(plans)[-2:] == ["15.rpz", "16.rpz"]
    committer.ended(plans["16.rpz"], INVALID, 0.0)
    assert list(start(committer)) == ["c.yaml"]


def test_a_configuration_waits_for_data_that_is_tried_again() -> None:
    """The data file could not be put in place yet: nothing that refers to it becomes visible."""
    committer, _ = failed("a.rpz", origin(1))
    committer.add(whole("c.yaml", origin(2)))
    assert start(committer, 0.5) == {}
    plans = start(committer, 1.0)
    assert list(plans) == ["a.rpz"]
    committer.ended(plans["a.rpz"], INVALID, 1.0)
    assert list(start(committer, 1.0)) == ["c.yaml"]


def test_a_newer_configuration_waits_for_the_data_before_it() -> None:
    """It takes no older one's place in the order."""
    committer = Committer(holding=False)
    committer.add(whole("c.yaml", origin(1)))
    committer.add(whole("a.rpz", origin(2)))
    committer.add(whole("c.yaml", origin(3)))
    assert list(start(committer)) == ["a.rpz"]


def test_a_configuration_that_is_tried_again_does_not_wait_for_newer_data() -> None:
    """Only what came before it counts, and the data does not wait for it."""
    committer, _ = failed("c.yaml", origin(1))
    committer.add(whole("a.rpz", origin(2)))
    assert list(start(committer, 1.0)) == ["a.rpz", "c.yaml"]


@pytest.mark.parametrize("state", ["waiting", "retrying", "running"])
def test_newer_data_keeps_the_place_of_the_data_that_it_replaces(state: str) -> None:
    """A configuration waits for the file that it may refer to, whichever version that becomes."""
    committer = Committer(holding=False)
    for number in range(16 if state == "waiting" else 0):
        committer.add(whole(f"{number}.rpz", origin(number)))
    others = start(committer)
    committer.add(whole("a.rpz", origin(20)))
    if state != "waiting":
        plan = start(committer)["a.rpz"]
    if state == "retrying":
        committer.ended(plan, BROKEN, 0.0)
    committer.add(whole("c.yaml", origin(21)))
    newer = whole("a.rpz", origin(22))
    committer.add(newer)
    if state == "running":
        committer.ended(plan, BROKEN, 0.0)
    for other in others.values():
        committer.ended(other, INVALID, 0.0)
    plans = start(committer)
    assert list(plans) == ["a.rpz"], "no version of a.rpz is there yet"
    committer.ended(plans["a.rpz"], visible(newer), 0.0)
    assert list(start(committer)) == ["c.yaml"]


def test_a_newer_version_that_waits_has_a_place_of_its_own() -> None:
    """The older one is in place: a configuration between the two may start, a later one waits."""
    committer = Committer(holding=False)
    for number, name in enumerate(["a.rpz", "c.yaml", "a.rpz", "d.yaml"]):
        committer.add(whole(name, origin(number)))
        plans = start(committer)
    assert plans == {}
    committer.ended(1, visible(whole("a.rpz", origin(0))), 0.0)
    assert list(start(committer)) == ["a.rpz", "c.yaml"]
    committer.ended(2, INVALID, 0.0)
    assert list(start(committer)) == ["d.yaml"]


# Catching up


def test_while_catching_up_nothing_starts_and_the_newest_is_kept() -> None:
    """Fifty versions in the log: one is kept, the bytes of the others go at once."""
    committer = Committer(holding=True)
    versions = [whole("a.rpz", origin(number)) for number in range(50)]
    gone = [step for done in versions for step in committer.add(done)]
    assert dropped(gone) == [done.key for done in versions[:-1]]
    assert {ending for _, ending in endings(gone)} == {Ending.SUPERSEDED}
    assert committer.next(inf) is None
    assert (committer.held, committer.unfinished, committer.running) == (1, 0, 0)
    committer.release()
    assert committer.next(0.0) == versions[-1]
    assert (committer.held, committer.unfinished) == (0, 1)


def test_caught_up_data_becomes_visible_first() -> None:
    """Configuration comes after all data, though the log has it before."""
    committer = Committer(holding=True)
    for number, name in enumerate(["c.yaml", "a.rpz", "d.yaml", "b.rpz"]):
        committer.add(whole(name, origin(number)))
    committer.release()
    plans = start(committer)
    assert list(plans) == ["a.rpz", "b.rpz"]
    committer.ended(plans["a.rpz"], INVALID, 0.0)
    assert start(committer) == {}
    committer.ended(plans["b.rpz"], INVALID, 0.0)
    assert list(start(committer)) == ["c.yaml", "d.yaml"]


def test_data_that_arrives_before_the_host_is_ready_comes_first_too() -> None:
    """`release` is repeated until then."""
    committer = Committer(holding=True)
    committer.add(whole("c.yaml", origin(1)))
    committer.add(whole("a.rpz", origin(2)))
    committer.release()
    plans = start(committer)
    committer.add(whole("b.rpz", origin(3)))
    committer.release()
    committer.ended(plans["a.rpz"], INVALID, 0.0)
    assert list(start(committer)) == ["b.rpz"]


# Again


def test_a_commit_is_repeated_with_growing_delay() -> None:
    """1, 2, 4 … seconds, at most a minute; each time it is told."""
    committer, done = Committer(holding=False), whole("a.rpz", origin(1))
    committer.add(done)
    at, delays = 0.0, []
    for number in range(1, 9):
        assert committer.next(at) == done
        assert committer.started(done) == number
        [step] = committer.ended(number, BROKEN, at)
        assert isinstance(step, CommitRetried)
        assert (step.name, step.origin, step.detail) == ("a.rpz", done.origin, BROKEN.detail)
        again = at + step.retry_in
        assert committer.wakes_after(at) == again
        assert committer.next(again - 0.1) is None
        assert (committer.unfinished, committer.running) == (1, 0)
        at = again
        delays.append(step.retry_in)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_delay_has_a_limit_however_long_it_fails() -> None:
    """Weeks of a full disk overflow nothing."""
    committer, _ = failed("a.rpz", origin(1), times=2000)
    assert committer.wakes_after(0.0) == 60


def test_nothing_to_repeat_needs_no_alarm() -> None:
    """Neither what waits nor what runs wakes anybody."""
    committer = _running(whole("a.rpz", origin(1)))
    committer.add(whole("a.rpz", origin(2)))
    assert committer.wakes_after(0.0) == inf


def test_the_alarm_is_for_the_first_to_be_repeated() -> None:
    """Two wait: the sooner one counts."""
    committer, _ = failed("a.rpz", origin(1), times=3)
    committer.add(whole("b.rpz", origin(2)))
    committer.ended(start(committer)["b.rpz"], BROKEN, 0.0)
    assert committer.wakes_after(0.0) == 1
    assert list(start(committer, 4.0)) == ["a.rpz", "b.rpz"]


def test_no_alarm_rings_for_what_cannot_start() -> None:
    """While the lane is full a repetition waits for an end; an alarm would ring without pause."""
    committer, _ = failed("a.rpz", origin(1))
    for number in range(16):
        committer.add(whole(f"{number}.rpz", origin(2 + number)))
    start(committer, 0.5)
    assert committer.next(5.0) is None
    assert committer.wakes_after(5.0) > 5.0


def test_a_newer_version_takes_the_place_of_one_that_is_repeated() -> None:
    """It need not wait for the delay, and has failed never."""
    committer, old = failed("a.rpz", origin(1), times=4)
    newer = whole("a.rpz", origin(2))
    steps = committer.add(newer)
    assert (dropped(steps), endings(steps)) == ([old.key], [(old.key, Ending.SUPERSEDED)])
    assert committer.wakes_after(0.0) == inf
    [step] = committer.ended(start(committer)["a.rpz"], BROKEN, 0.0)
    assert isinstance(step, CommitRetried)
    assert step.retry_in == 1


def test_a_failed_commit_is_not_repeated_when_a_newer_version_waits() -> None:
    """Its turn is over, its bytes go; the newer one starts at once."""
    old, newer = whole("a.rpz", origin(1)), whole("a.rpz", origin(2))
    committer = _running(old)
    committer.add(newer)
    steps = committer.ended(1, BROKEN, 0.0)
    assert (dropped(steps), endings(steps)) == ([old.key], [(old.key, Ending.SUPERSEDED)])
    assert isinstance(steps[-1], Settled)
    assert "read-only file system; a newer version" in steps[-1].outcome.detail
    assert committer.next(0.0) == newer


@pytest.mark.parametrize("name", ["a.rpz", "c.yaml"])
def test_what_is_visible_is_recorded_before_the_next_version(name: str) -> None:
    """A newer version waits for it, and takes its place only when it has been recorded."""
    old, between, newer = (whole(name, origin(number)) for number in range(3))
    committer = _running(old)
    committer.add(between)
    [step] = committer.ended(1, TORN, 0.0)
    assert isinstance(step, CommitRetried)
    assert endings(committer.add(newer)) == [(between.key, Ending.SUPERSEDED)]
    assert (committer.unfinished, committer.wakes_after(0.0)) == (2, 1)
    assert committer.next(0.5) is None
    assert committer.next(1.0) == old
    assert committer.started(old) == 2
    assert committer.next(1.0) is None
    assert endings(committer.ended(2, visible(old), 1.0)) == [(old.key, Ending.COMMITTED)]
    assert committer.next(1.0) == newer


def test_an_older_version_than_the_one_to_be_recorded_is_superseded() -> None:
    """Readers see a newer one."""
    committer = _running(whole("a.rpz", origin(5)))
    committer.ended(1, TORN, 0.0)
    older = whole("a.rpz", origin(3))
    assert endings(committer.add(older)) == [(older.key, Ending.SUPERSEDED)]


def test_a_configuration_waits_until_the_data_before_it_is_recorded() -> None:
    """Even a newer version of that data file waits before it."""
    committer = _running(whole("a.rpz", origin(1)))
    committer.add(whole("c.yaml", origin(2)))
    committer.add(whole("a.rpz", origin(3)))
    committer.ended(1, TORN, 0.0)
    assert start(committer, 0.5) == {}
    plans = start(committer, 1.0)
    assert list(plans) == ["a.rpz"]
    committer.ended(plans["a.rpz"], visible(whole("a.rpz", origin(1))), 1.0)
    assert list(start(committer, 1.0)) == ["a.rpz", "c.yaml"]


# Logs that start anew


@pytest.mark.parametrize("place", _PLACES)
def test_what_a_forgotten_log_brought_is_older_than_anything(
    place: Callable[[Whole], Committer],
) -> None:
    """The new log counts from 0: its files are newer all the same."""
    old, new = whole("a.rpz", origin(500)), whole("a.rpz", origin(3), turn=1)
    committer = place(old)
    committer.forget(P0)
    gone = endings(committer.add(new))
    assert gone in ([], [(old.key, Ending.SUPERSEDED)])


@pytest.mark.parametrize("place", _PLACES)
def test_forgetting_one_log_leaves_the_others(place: Callable[[Whole], Committer]) -> None:
    """Another partition started anew: this order still holds."""
    new = whole("a.rpz", origin(3), turn=1)
    committer = place(whole("a.rpz", origin(500)))
    committer.forget(P1)
    assert endings(committer.add(new)) == [(new.key, Ending.SUPERSEDED)]


def test_what_comes_after_a_forgotten_log_has_an_order_again() -> None:
    """Of the new log the older version never replaces the newer one."""
    committer = _waiting(whole("a.rpz", origin(500)))
    committer.forget(P0)
    committer.add(whole("a.rpz", origin(3), turn=1))
    older = whole("a.rpz", origin(2), turn=1)
    assert endings(committer.add(older)) == [(older.key, Ending.SUPERSEDED)]


@pytest.mark.parametrize("failures", [0, 1])
@pytest.mark.parametrize("fine", [True, False], ids=["committed", "unchanged"])
def test_a_plan_of_a_forgotten_log_may_end_late(fine: bool, failures: int) -> None:
    """It was under way: what is in place now has no age, so the new log's file is newer."""
    old, new = whole("a.rpz", origin(500)), whole("a.rpz", origin(3), turn=1)
    committer = _running(old)
    committer.forget(P0)
    for plan in range(failures):
        committer.ended(1 + plan, BROKEN, 0.0)
        start(committer, inf)
    [step] = committer.ended(1 + failures, visible(old) if fine else UNCHANGED, 0.0)
    assert isinstance(step, Settled)
    assert step.visible is None
    assert committer.add(new) == []
    assert committer.next(0.0) == new


# Any order

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


class Committing(RuleBasedStateMachine):
    """Transfers become whole, plans start and end, logs start anew: in any order."""

    now = 0.0
    turn = came = 0
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

    def follow(self, steps: list[Step]) -> list[tuple[TransferKey, Ending]]:
        """Check that outcomes come once; return them."""
        ended = endings(steps)
        for key, _ in ended:
            assert key not in self.settled, "two outcomes"
            self.settled.add(key)
        # A lane removes the bytes of the plans that it carries out.
        unwanted = {Ending.SUPERSEDED, Ending.AMBIGUOUS}
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
        plan = self.committer.started(turn)
        assert plan not in self.running
        self.running[plan] = item
        return True

    def finish(self, plan: int, result: PlanResult) -> None:
        item = self.running.pop(plan)
        name = item.done.target.name
        newer = self.queued.get(name)
        steps = self.committer.ended(plan, result, self.now)
        ended = self.follow(steps)
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
        if result != INVALID:
            self.files[name] = None if item.void else item.done.origin
        self.since.pop(name, None)
        if newer is not None and newer.done.target.kind is Kind.DATA:
            self.since[name] = newer.number

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
        seconds=st.sampled_from([0.0, 0.0, 0.5, 1.0, 8.0]),
        most=st.integers(0, 3),
        which=st.integers(0, 3),
        how=st.sampled_from(["fine", "same", "refused", "broken", "broken", "torn"]),
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
            if item.visible and how in {"refused", "broken"}:
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
