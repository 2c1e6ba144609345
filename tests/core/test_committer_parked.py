"""Configurations that name files which are not there yet."""

from __future__ import annotations

from math import inf

import pytest

from filesync._committer import Committer, Settled
from filesync._outcomes import CommitParked, Ending
from filesync._transfer import Whole
from support.committing import (
    BROKEN,
    LACKING,
    UNCHANGED,
    dropped,
    endings,
    start,
    visible,
)
from support.pieces import origin, whole

CONFIG = whole("c.yaml", origin(1), turn=1)
DATA = whole("b.rpz", origin(2), turn=2)


def _parked(at: float = 0.0) -> Committer:
    """Return a committer in which `CONFIG` is parked since *at*."""
    committer = Committer(holding=False)
    committer.add(CONFIG)
    [told] = committer.ended(start(committer, at)["c.yaml"], LACKING, at)
    assert isinstance(told, CommitParked)
    assert (told.name, told.origin, told.detail) == ("c.yaml", CONFIG.origin, "b.rpz")
    assert told.patience == 60
    return committer


def _commit(committer: Committer, done: Whole, at: float) -> None:
    committer.add(done)
    committer.ended(start(committer, at)[done.target.name], visible(done), at)


def test_a_parked_configuration_waits_without_an_outcome() -> None:
    """It is unfinished, and nothing is tried before a file comes or its patience ends."""
    committer = _parked()
    assert (committer.unfinished, committer.parked, committer.running) == (1, 1, 0)
    assert committer.next(59.9) is None
    assert committer.wakes_after(0.0) == 60


def test_it_is_checked_again_when_commits_have_been_quiet() -> None:
    """Each file that becomes visible begins the half second anew."""
    committer = _parked()
    _commit(committer, DATA, 3.0)
    assert committer.wakes_after(3.0) == 3.5
    _commit(committer, whole("d.rpz", origin(3), turn=3), 3.25)
    assert committer.next(3.5) is None
    assert committer.next(3.75) == CONFIG
    [ended] = committer.ended(start(committer, 3.75)["c.yaml"], visible(CONFIG), 3.75)
    assert isinstance(ended, Settled)
    assert ended.outcome.ending is Ending.COMMITTED
    assert (committer.unfinished, committer.wakes_after(3.75)) == (0, inf)


def test_a_file_that_is_unchanged_brings_nothing_new() -> None:
    """It was there when the configuration was checked."""
    committer = _parked()
    committer.add(DATA)
    committer.ended(start(committer, 3.0)["b.rpz"], UNCHANGED, 3.0)
    assert committer.wakes_after(3.0) == 60


def test_a_file_that_comes_while_it_is_checked_counts() -> None:
    """The check may have looked before."""
    committer = Committer(holding=False)
    committer.add(CONFIG)
    plan = start(committer)["c.yaml"]
    _commit(committer, DATA, 1.0)
    committer.ended(plan, LACKING, 2.0)
    assert committer.wakes_after(2.0) == 2.5


def test_its_patience_does_not_begin_anew() -> None:
    """It is told once, and its last check is when its minute is over."""
    committer = _parked(at=5.0)
    _commit(committer, DATA, 40.0)
    assert committer.ended(start(committer, 40.5)["c.yaml"], LACKING, 40.5) == []
    assert committer.wakes_after(40.5) == 65
    _commit(committer, whole("d.rpz", origin(3), turn=3), 64.9)
    assert committer.wakes_after(64.9) == 65
    steps = committer.ended(start(committer, 65.0)["c.yaml"], LACKING, 65.0)
    assert dropped(steps) == [CONFIG.key]
    assert endings(steps) == [(CONFIG.key, Ending.INVALID)]
    [ended] = [step for step in steps if isinstance(step, Settled)]
    assert ended.outcome.detail == "b.rpz; what it names did not come; the old file stays"
    assert committer.unfinished == 0


def test_a_newer_version_supersedes_a_parked_one() -> None:
    """It is checked at once, whatever the older one lacked."""
    committer = _parked()
    newer = whole("c.yaml", origin(7), turn=7)
    steps = committer.add(newer)
    assert endings(steps) == [(CONFIG.key, Ending.SUPERSEDED)]
    assert dropped(steps) == [CONFIG.key]
    assert committer.next(0.0) == newer


def test_it_is_not_parked_when_a_newer_version_waits() -> None:
    """Its turn is over."""
    committer = Committer(holding=False)
    committer.add(CONFIG)
    plan = start(committer)["c.yaml"]
    newer = whole("c.yaml", origin(7), turn=7)
    committer.add(newer)
    steps = committer.ended(plan, LACKING, 0.0)
    assert endings(steps) == [(CONFIG.key, Ending.SUPERSEDED)]
    assert dropped(steps) == [CONFIG.key]
    assert committer.parked == 0


@pytest.mark.parametrize("late", [1.0, 70.0])
def test_a_check_that_could_not_run_does_not_lengthen_its_patience(late: float) -> None:
    """It is tried again like any other; what it then lacks is judged by the first time."""
    committer = _parked()
    _commit(committer, DATA, 0.0)
    committer.ended(start(committer, 0.5)["c.yaml"], BROKEN, 0.5)
    assert committer.parked == 1
    steps = committer.ended(start(committer, 0.5 + late)["c.yaml"], LACKING, 0.5 + late)
    assert endings(steps) == ([(CONFIG.key, Ending.INVALID)] if late > 60 else [])
