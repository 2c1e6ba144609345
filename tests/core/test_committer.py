"""Which whole transfer becomes visible: the newest, one at a time, and again after a failure."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest
from attrs import evolve

from filesync._committer import Committer, Settled
from filesync._model import Origin
from filesync._outcomes import CommitRetried, Ending
from filesync._plan import PlanResult
from filesync._transfer import Whole
from support.committing import (
    BROKEN,
    INVALID,
    TORN,
    UNCHANGED,
    dropped,
    endings,
    failed,
    file_of,
    start,
    visible,
)
from support.pieces import P0, P1, origin, whole

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
