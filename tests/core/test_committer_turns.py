"""When whole transfers have their turn: data before configuration, and nothing before its time."""

from __future__ import annotations

from math import inf

import pytest

from filesync._committer import Committer
from filesync._outcomes import Ending
from support.committing import BROKEN, INVALID, dropped, endings, failed, start, visible
from support.pieces import origin, whole

# Lanes


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
